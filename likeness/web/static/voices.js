// The pages of voices. [data-hear="ADDRESS"]: a button that plays a sound, and stops it when pressed again; in the player
// with the id 'player' where the page has one. Of all sounds of a page one plays at a time.
// [data-query-of="ID"]: a field whose value the <drop-zone> of this id sends along, by the field's name.
//
// <consent-words mine="I am {name} …" theirs="{name} has …">: a field [data-speaker], radios [data-whose] (mine, theirs)
// and the box of the statement, which is written from them until somebody writes in it. So is the name of the voice in
// `names`, the id of its field; with `plain` in letters a to z.
"use strict";
(() => {
  let own = null, pressed = null
  const player = () => document.getElementById("player") ?? (own ??= new Audio())

  function mark(button) {
    for (const other of document.querySelectorAll("[data-hear][aria-pressed=true]")) other.setAttribute("aria-pressed", "false")
    pressed = button
    button?.setAttribute("aria-pressed", "true")
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-hear]")
    if (!button) return
    const sound = player()
    if (button === pressed && !sound.paused) return sound.pause()
    for (const audio of document.querySelectorAll("audio")) if (audio !== sound) audio.pause()
    sound.onended = sound.onpause = () => mark(null)
    sound.src = button.dataset.hear
    sound.hidden = false
    const label = document.getElementById("player-label")
    if (label) label.textContent = button.getAttribute("aria-label") ?? ""
    mark(button)
    sound.play().catch(() => { mark(null); window.toast("This sound cannot be played here", "error") })
  })
  document.addEventListener("play", (event) => {
    for (const audio of document.querySelectorAll("audio")) if (audio !== event.target) audio.pause()
    if (own && event.target !== own) own.pause()
  }, { capture: true })

  document.addEventListener("input", ({ target }) => {
    const zone = target.dataset.queryOf && document.getElementById(target.dataset.queryOf)
    if (zone) zone.dataset.query = target.value.trim() ? new URLSearchParams([[target.name, target.value.trim()]]) : ""
  })

  customElements.define("consent-words", class extends HTMLElement {
    connectedCallback() {
      if (this.ready) return
      this.ready = true
      this.box = this.querySelector("textarea")
      this.written = this.box.value.trim() !== ""
      this.addEventListener("input", (event) => {
        if (event.target === this.box) this.written = this.box.value.trim() !== ""
        else this.#write()
        if (event.target.matches("[data-speaker]")) this.#name(event.target.value.trim())
      })
    }

    #name(speaker) {
      const field = document.getElementById(this.getAttribute("names"))
      if (!field || (field.value && field.value !== this.named)) return
      const plain = speaker.normalize("NFD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "").toLowerCase()
      field.value = this.named = this.hasAttribute("plain") ? plain : speaker
    }

    #write() {
      const name = this.querySelector("[data-speaker]").value.trim()
      const whose = this.querySelector("[data-whose]:checked")?.value
      if (this.written || !whose) return
      this.box.value = name ? this.getAttribute(whose).replaceAll("{name}", name) : ""
    }
  })
})()
