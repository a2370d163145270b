// <toast-box>: holds toasts, which the server puts in (see pages.said) or say() makes. Each leaves by itself, errors only
// by hand; one under the pointer or with the focus stays.
"use strict";
customElements.define("toast-box", class extends HTMLElement {
  static STAYS = 6000

  connectedCallback() {
    this.setAttribute("role", "region")
    this.setAttribute("aria-label", "Messages")
    this.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast").remove())
    new MutationObserver((changes) => {
      for (const change of changes) for (const node of change.addedNodes) if (node instanceof HTMLElement) this.#came(node)
    }).observe(this, { childList: true })
    for (const toast of this.children) this.#came(toast)
  }

  say(words, kind = "") {
    const toast = document.createElement("div")
    toast.className = `toast ${kind}`
    toast.setAttribute("role", kind === "error" ? "alert" : "status")
    const text = document.createElement("div")
    text.textContent = words
    const away = document.createElement("button")
    away.type = "button"
    away.className = "button quiet small icon-only"
    away.setAttribute("aria-label", "Dismiss")
    away.dataset.dismiss = ""
    away.textContent = "×"
    toast.append(text, away)
    this.append(toast)
  }

  #came(toast) {
    while (this.children.length > 5) this.firstElementChild.remove()
    if (toast.classList.contains("error")) return
    const leave = () => toast.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : toast.remove()
    setTimeout(leave, this.constructor.STAYS)
  }
})
