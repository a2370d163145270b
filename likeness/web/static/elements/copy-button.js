// <copy-button text="what is copied">Copy</copy-button>, or for="ID" to copy what an element says or holds.
"use strict";
customElements.define("copy-button", class extends HTMLElement {
  connectedCallback() {
    if (this.querySelector("button")) return
    const button = document.createElement("button")
    button.type = "button"
    button.className = `button ${this.getAttribute("kind") ?? "small"}`
    button.textContent = this.textContent.trim() || "Copy"
    this.replaceChildren(button)
    const said = button.textContent
    button.addEventListener("click", async () => {
      const kept = await this.#copy(this.#text)
      button.textContent = kept ? "Copied" : "Press Ctrl+C"
      setTimeout(() => { button.textContent = said }, 1500)
    })
  }

  get #text() {
    const from = document.getElementById(this.getAttribute("for") ?? "")
    return from ? from.value ?? from.textContent.trim() : this.getAttribute("text") ?? ""
  }

  // Without https, and not on this machine, there is no clipboard to write to: then the text is selected instead.
  async #copy(text) {
    try {
      await navigator.clipboard.writeText(text)
      return true
    } catch {
      const from = document.getElementById(this.getAttribute("for") ?? "")
      if (from?.select) from.select()
      else if (from) getSelection().selectAllChildren(from)
      return document.execCommand("copy")
    }
  }
})
