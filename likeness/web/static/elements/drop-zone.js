// <drop-zone action="/api/v1/…/files/" accept="image/*,.txt,.zip" label="Add pictures" folders>words</drop-zone>
//
// Files and folders, dropped or chosen, are sent one after the other, each by PUT of the file itself to `action` + its
// name (with the folders that it lay in), and data-query, large ones in pieces with Content-Range. A connection that
// breaks is tried again: HEAD of the same address asks how many bytes have arrived (Upload-Offset). A refusal is told
// beside the file.
// Tells 'offered' of each file before (detail: file, name), which may be prevented: then it is not sent.
// Tells 'uploaded' for each file (detail: name, answer), 'arriving' now and then while they come, never after the last,
// and 'settled' when none is left (detail: done, failed). htmx may listen: hx-trigger="settled from:#zone".
"use strict";
(() => {
  const WAITS = [500, 1000, 2000, 4000, 8000, 15000, 30000]  // milliseconds before each further attempt
  const ASKED_BYTES = 4e6  // of a file that may have been begun before this page was opened
  const PIECE_BYTES = 4e6
  const TOLD_EVERY = 1500  // milliseconds from one 'arriving' to the next
  const SHOWN = 200  // files in the list; of more, those that went well are left out
  const bytes = (count) => count < 1e6 ? `${Math.max(1, Math.round(count / 1e3))} kB` : `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`

  class Refused extends Error {}

  class DropZone extends HTMLElement {
    #files = []  // {file, name, state: waiting | sending | done | failed, sent, words, row}
    #busy = false
    #list; #sum; #woken = null; #told = 0

    connectedCallback() {
      if (this.#list) return
      const words = this.innerHTML
      const label = this.getAttribute("label") || "Add files"
      this.innerHTML = `<div class="drop-target"><div class="row tight"><button type="button" class="button" data-pick="files"></button>
        <button type="button" class="button" data-pick="folder">A folder</button></div><p class="small">or drop them here</p><div class="small">${words}</div></div>
        <input type="file" multiple hidden tabindex="-1"><input type="file" webkitdirectory hidden tabindex="-1">
        <div class="drop-sum" role="status" hidden><span></span><span class="row tight"><button type="button" class="button small" data-again hidden>Try again</button>
        <button type="button" class="button small quiet" data-clear hidden>Clear the list</button></span></div><ul class="drop-list" hidden></ul>`
      this.querySelector("[data-pick=files]").textContent = label
      this.querySelector("[data-pick=folder]").hidden = !this.hasAttribute("folders")
      this.#list = this.querySelector(".drop-list")
      this.#sum = this.querySelector(".drop-sum")
      const [files, folder] = this.querySelectorAll("input[type=file]")
      files.accept = this.getAttribute("accept") ?? ""
      this.querySelector("[data-pick=files]").addEventListener("click", () => files.click())
      this.querySelector("[data-pick=folder]").addEventListener("click", () => folder.click())
      for (const input of [files, folder]) input.addEventListener("change", () => {
        this.add([...input.files].map((file) => [file, file.webkitRelativePath || file.name]))
        input.value = ""
      })
      this.addEventListener("dragover", (event) => { event.preventDefault(); this.toggleAttribute("over", true) })
      this.addEventListener("dragleave", (event) => { if (!this.contains(event.relatedTarget)) this.removeAttribute("over") })
      this.addEventListener("drop", (event) => this.#dropped(event))
      this.querySelector("[data-again]").addEventListener("click", () => this.again())
      this.querySelector("[data-clear]").addEventListener("click", () => this.#clear())
      addEventListener("online", () => this.#woken?.())
      addEventListener("beforeunload", (event) => { if (this.#busy && this.isConnected) event.preventDefault() })
    }

    // pairs: [File, its path]. Hidden files, and what `accept` does not name, are left out of folders.
    add(pairs) {
      for (const [file, path] of pairs) {
        const name = path.replace(/^\/+/, "")
        if (name.split("/").some((step) => step.startsWith("."))) continue
        if (name.includes("/") && !this.#accepted(file)) continue
        if (!this.dispatchEvent(new CustomEvent("offered", { detail: { file, name }, bubbles: true, cancelable: true }))) continue
        this.#files.push({ file, name, state: "waiting", sent: 0, words: bytes(file.size), row: null })
      }
      this.#draw()
      this.#work()
    }

    again() {
      for (const one of this.#files) if (one.state === "failed") Object.assign(one, { state: "waiting", words: bytes(one.file.size) })
      this.#draw()
      this.#work()
    }

    get counts() {
      const count = (state) => this.#files.filter((one) => one.state === state).length
      return { done: count("done"), failed: count("failed"), waiting: count("waiting") + count("sending") }
    }

    #accepted(file) {
      const wanted = (this.getAttribute("accept") ?? "").split(",").map((part) => part.trim().toLowerCase()).filter(Boolean)
      if (!wanted.length) return true
      const name = file.name.toLowerCase()
      return wanted.some((part) => part.startsWith(".") ? name.endsWith(part)
        : part.endsWith("/*") ? file.type.startsWith(part.slice(0, -1)) : file.type === part)
    }

    async #dropped(event) {
      event.preventDefault()
      this.removeAttribute("over")
      // The list of items is empty after the first wait, so all are taken out at once.
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean)
      if (!entries.length) return this.add([...event.dataTransfer.files].map((file) => [file, file.name]))
      const found = []
      for (const entry of entries) await this.#gather(entry, found)
      this.add(found)
    }

    async #gather(entry, found) {
      if (entry.isFile) found.push([await new Promise((good, bad) => entry.file(good, bad)), entry.fullPath])
      if (!entry.isDirectory) return
      const reader = entry.createReader()
      for (;;) {  // it gives at most a hundred at a time
        const some = await new Promise((good, bad) => reader.readEntries(good, bad))
        if (!some.length) return
        for (const each of some) await this.#gather(each, found)
      }
    }

    async #work() {
      if (this.#busy) return
      this.#busy = true
      for (let one; (one = this.#files.find((each) => each.state === "waiting"));) await this.#send(one)
      this.#busy = false
      this.#draw()
      const { done, failed } = this.counts
      this.dispatchEvent(new CustomEvent("settled", { detail: { done, failed }, bubbles: true }))
    }

    async #send(one) {
      one.state = "sending"
      for (let attempt = 0; ; attempt++) {
        try {
          one.sent = attempt || one.file.size > ASKED_BYTES ? await this.#arrived(one) : 0
          // What arrived whole some other day may be gone since; within one sending it only missed the answer.
          if (!attempt && one.sent === one.file.size) one.sent = 0
          const answer = await this.#put(one)
          Object.assign(one, { state: "done", shown: one.file.size, words: "done" })
          this.#draw()
          this.dispatchEvent(new CustomEvent("uploaded", { detail: { name: one.name, answer }, bubbles: true }))
          return this.#arriving()
        } catch (error) {
          if (error instanceof Refused || attempt >= WAITS.length) {
            Object.assign(one, { state: "failed", words: error.message })
            return this.#draw()
          }
          one.words = "connection lost, trying again"
          this.#draw()
          await new Promise((resolve) => { this.#woken = resolve; setTimeout(resolve, WAITS[attempt]) })
        }
      }
    }

    #arriving() {
      const now = performance.now()
      if (!this.counts.waiting || this.#told && now - this.#told < TOLD_EVERY) return
      this.#told = now
      this.dispatchEvent(new CustomEvent("arriving", { bubbles: true }))
    }

    #address(one) {
      return this.getAttribute("action") + one.name.split("/").map(encodeURIComponent).join("/")
        + (this.dataset.query ? `?${this.dataset.query}` : "")
    }

    // How many bytes of the file the server has.
    async #arrived(one) {
      const answer = await fetch(this.#address(one), { method: "HEAD",
        headers: { "Upload-Length": String(one.file.size), "Upload-Stamp": String(one.file.lastModified) } })
      if (answer.status >= 500) throw new Error(`the server answers ${answer.status}`)
      const offset = Number(answer.headers.get("Upload-Offset") ?? 0)
      return answer.ok && offset <= one.file.size ? offset : 0
    }

    // All that the server has not got yet, a piece at a time: a browser may repeat a request by itself where a connection
    // breaks, and then it is no more than a piece.
    async #put(one) {
      for (;;) {
        const end = Math.min(one.sent + PIECE_BYTES, one.file.size)
        const { status, answer } = await this.#piece(one, one.sent, end)
        if (status !== 202) return answer
        one.sent = Number(answer.received)
      }
    }

    // XMLHttpRequest, since fetch does not tell how far an upload is.
    #piece(one, start, end) {
      return new Promise((good, bad) => {
        const request = new XMLHttpRequest()
        request.open("PUT", this.#address(one))
        request.setRequestHeader("Content-Type", "application/octet-stream")
        request.setRequestHeader("Upload-Stamp", String(one.file.lastModified))  // not another file of this name and size
        const piece = start || end < one.file.size
        if (piece) request.setRequestHeader("Content-Range", `bytes ${start}-${Math.max(start, end) - 1}/${one.file.size}`)
        request.upload.onprogress = (event) => {
          one.words = `${bytes(start + event.loaded)} of ${bytes(one.file.size)}`
          one.shown = start + event.loaded
          this.#draw(one)
        }
        request.onload = () => {
          let answer = null
          try { answer = JSON.parse(request.responseText) } catch { /* no words */ }
          if (request.status < 300) return good({ status: request.status, answer })
          const words = answer?.detail || `the server answers ${request.status}`
          // What passes: a broken server, too many requests, and while going on that it has more than was thought.
          const passes = request.status >= 500 && request.status !== 507 || [408, 429].includes(request.status) || piece && request.status === 409
          bad(passes ? new Error(words) : new Refused(words))
        }
        request.onerror = request.ontimeout = () => bad(new Error("the connection was lost"))
        request.send(piece ? one.file.slice(start, end) : one.file)
      })
    }

    #clear() {
      this.#files = this.#files.filter((one) => one.state === "waiting" || one.state === "sending")
      this.#list.replaceChildren()
      for (const one of this.#files) one.row = null
      this.#draw()
    }

    #draw(only = null) {
      const hidden = this.#files.length > SHOWN
      for (const one of only ? [only] : this.#files) {
        if (hidden && (one.state === "done" || (!one.row && one.state === "waiting"))) {
          one.row?.remove()
          one.row = null
          continue
        }
        if (!one.row) {
          one.row = document.createElement("li")
          one.row.innerHTML = `<span class="cut"></span><span class="words"></span><progress max="1" hidden></progress>`
          one.row.firstChild.textContent = one.name
          one.row.querySelector("progress").setAttribute("aria-label", one.name)
          this.#list.append(one.row)
        }
        one.row.dataset.state = one.state
        one.row.querySelector(".words").textContent = one.words
        const bar = one.row.querySelector("progress")
        bar.hidden = one.state !== "sending"
        bar.value = one.file.size ? (one.shown ?? 0) / one.file.size : 1
      }
      if (only) return
      const { done, failed, waiting } = this.counts
      this.#list.hidden = this.#sum.hidden = !this.#files.length
      this.#sum.firstElementChild.textContent = [`${done} of ${this.#files.length} sent`, failed ? `${failed} refused or failed` : ""].filter(Boolean).join(", ")
      this.#sum.querySelector("[data-again]").hidden = !failed || !!waiting
      this.#sum.querySelector("[data-clear]").hidden = !!waiting
    }
  }
  customElements.define("drop-zone", DropZone)
})()
