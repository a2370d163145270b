// <sound-list field="recordings">…</sound-list>: recordings that are brought to a form. It holds a <drop-zone> (and a
// <record-sound> that sends through it), and a part [data-chosen] that the server draws, in which each recording is an
// element with data-recording="ID". Its hidden field of the name `field` holds the ids with commas between.
//
// What arrives is added; [data-remove="ID"] takes one out, [data-add="ID"] takes an earlier one in. After each change
// the part hears 'chosen', so that htmx asks for it anew, and the address of the page names the recordings, so that a
// reload keeps them. A row with data-instead-of="OTHER" stands in the place of another recording: its mended copy.
// `one`: of several the last alone is meant.
//
// Where its rows have boxes text:ID, texts come along: of a .txt file that is dropped with the recording of its name
// (data-name of the row), and of <read-aloud>, an <ol> of sentences of which one is shown, with buttons data-turn="1" and
// "-1" and an element [role=status] that counts them. It goes on to the next sentence when a recording is taken.
"use strict";
(() => {
  // Of a file's name, as far as the server leaves it as it was.
  const stem = (name) => name.split("/").pop().replace(/\.[^.]*$/, "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "")

  class SoundList extends HTMLElement {
    #ids = []
    #texts = new Map()  // by the stem of the recording's name

    connectedCallback() {
      if (this.ready) return
      this.ready = true
      this.field = this.querySelector(`input[name="${this.getAttribute("field")}"]`)
      this.#ids = this.field.value.split(",").filter(Boolean)
      this.addEventListener("uploaded", (event) => this.#keep([...this.#ids, event.detail.answer.id]))
      this.addEventListener("settled", (event) => { if (event.detail.done) this.#tell() })
      this.addEventListener("click", (event) => {
        const button = event.target.closest("[data-remove], [data-add]")
        if (!button) return
        if (button.dataset.add) this.#keep([...this.#ids, button.dataset.add])
        else this.#keep(this.#ids.filter((id) => id !== button.dataset.remove))
        this.#tell()
        this.querySelector("[data-do=record]")?.focus()  // the button goes with its row
      })
      this.addEventListener("recorded", (event) => {
        const reader = this.querySelector("read-aloud")
        if (reader) this.#texts.set(stem(event.detail.file.name), reader.take())
      })
      this.addEventListener("offered", async (event) => {
        const { file, name } = event.detail
        if (!name.toLowerCase().endsWith(".txt") || !this.querySelector("drop-zone").getAttribute("accept").includes(".txt")) return
        event.preventDefault()
        this.#texts.set(stem(name), (await file.text()).replace(/^\uFEFF/, "").trim())
        this.#write()
      })
      document.addEventListener("htmx:after:swap", this.#swapped)
    }

    // Texts into the boxes that are empty still.
    #write() {
      for (const row of this.querySelectorAll("[data-recording][data-name]")) {
        const box = row.querySelector("textarea"), text = this.#texts.get(stem(row.dataset.name))
        if (!box || !text || box.value.trim()) continue
        box.value = text
        box.dispatchEvent(new Event("change", { bubbles: true }))
      }
    }

    disconnectedCallback() { document.removeEventListener("htmx:after:swap", this.#swapped) }

    // A mended copy has come: from now on it is the one that is meant.
    #swapped = () => {
      for (const row of this.querySelectorAll("[data-instead-of]"))
        if (this.#ids.includes(row.dataset.insteadOf)) this.#keep(this.#ids.map((id) => id === row.dataset.insteadOf ? row.dataset.recording : id))
      this.#write()
    }

    #keep(ids) {
      this.#ids = [...new Set(ids)]
      if (this.hasAttribute("one")) this.#ids = this.#ids.slice(-1)
      this.field.value = this.#ids.join(",")
      if (this.hasAttribute("one")) return
      const address = new URL(location.href)
      address.searchParams.set(this.field.name, this.field.value)
      if (!this.field.value) address.searchParams.delete(this.field.name)
      history.replaceState(history.state, "", address)
    }

    #tell() {
      this.querySelector("[data-chosen]").dispatchEvent(new CustomEvent("chosen"))
      this.field.dispatchEvent(new Event("change", { bubbles: true }))
    }
  }
  customElements.define("sound-list", SoundList)

  customElements.define("read-aloud", class extends HTMLElement {
    connectedCallback() {
      this.addEventListener("click", (event) => {
        const turn = event.target.closest("[data-turn]")
        if (turn) this.turn(Number(turn.dataset.turn))
      })
    }

    get sentences() { return [...this.querySelectorAll("li")] }

    turn(by) {
      const all = this.sentences, now = all.findIndex((one) => !one.hidden), next = (now + by + all.length) % all.length
      all[now].hidden = true
      all[next].hidden = false
      this.querySelector("[role=status]").textContent = `${next + 1} of ${all.length}`
    }

    // The sentence that was read; the next one is shown.
    take() {
      const text = this.sentences.find((one) => !one.hidden).textContent
      this.turn(1)
      return text
    }
  })
})()
