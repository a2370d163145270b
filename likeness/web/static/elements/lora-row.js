// <lora-row>…</lora-row>: one LoRA of a form: a range and a number with data-strength that say the same, and a button
// with data-remove. It tells the form of its coming and going by 'change'.
//
// <reference-list>…</reference-list>: source pictures of a form, each an element with data-reference and a button with
// data-remove; beside a <drop-zone> in the same element, whose uploads are added with the <template> in it.
//
// In a form with these: a button with data-prompt="words" puts the words into the box with the id 'prompt'. In a dialog
// with a <compare-slider>: a <select data-side="a"> chooses the picture of that side.
"use strict";
(() => {
  const tell = (element) => element?.dispatchEvent(new Event("change", { bubbles: true }))

  customElements.define("lora-row", class extends HTMLElement {
    connectedCallback() {
      if (this.ready) return
      this.ready = true
      const form = this.closest("form")
      this.addEventListener("input", (event) => {
        if (!event.target.matches("[data-strength]")) return
        for (const other of this.querySelectorAll("[data-strength]")) if (other !== event.target) other.value = event.target.value
      })
      this.addEventListener("click", (event) => {
        if (!event.target.closest("[data-remove]")) return
        this.remove()
        tell(form)
        form?.querySelector("#find-lora")?.focus()
      })
      if (this.hasAttribute("new")) tell(form)
    }
  })

  customElements.define("reference-list", class extends HTMLElement {
    connectedCallback() {
      if (this.ready) return
      this.ready = true
      this.addEventListener("uploaded", (event) => this.add(event.detail.answer.reference))
      this.addEventListener("click", (event) => {
        const button = event.target.closest("[data-remove]")
        if (!button) return
        button.closest("[data-reference]").remove()
        tell(this.closest("form"))
      })
    }

    add(reference) {
      const made = this.querySelector("template").content.firstElementChild.cloneNode(true)
      made.dataset.reference = made.querySelector("input").value = reference
      made.querySelector("img").src = `/api/v1/references/${reference}?size=128`
      this.querySelector("[data-list]").append(made)
      tell(this.closest("form"))
    }
  })

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-prompt]")
    const box = button && document.getElementById("prompt")
    if (!box) return
    box.value = button.dataset.prompt
    box.focus()
    tell(box)
  })
  document.addEventListener("change", (event) => {
    const { side } = event.target.dataset
    if (!event.target.matches("select[data-side]")) return
    const slider = event.target.closest("dialog, section").querySelector("compare-slider")
    slider.setAttribute(side, event.target.value)
    slider.setAttribute(`${side}-label`, event.target.selectedOptions[0].textContent)
  })
})()
