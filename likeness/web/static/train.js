// The page 'Train': whatever changes in its form asks for a new plan, a little later; [data-use] puts a value into a field.
"use strict";
(() => {
  const WAIT = 500  // milliseconds after the last key
  let timer = 0
  const plan = () => {
    clearTimeout(timer)
    document.getElementById("start-button")?.setAttribute("aria-disabled", "true")
    timer = setTimeout(() => document.body.dispatchEvent(new CustomEvent("plan")), WAIT)
  }
  const ours = (element) => element?.form?.id === "train"
  for (const kind of ["input", "change"])
    document.addEventListener(kind, (event) => {
      if (!ours(event.target) || event.target.name === "new-dataset") return
      if (event.target.name === "base-own") {  // who types a model of their own has chosen it
        const own = event.target.closest(".choice").querySelector("[name=base]")
        own.checked = true
      }
      plan()
    })
  document.addEventListener("submit", (event) => { if (event.target.id === "train") event.preventDefault() })
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.name === "new-dataset") document.getElementById("make-dataset").click()
  })
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-use]")
    if (!button) return
    const field = document.querySelector(`[form="train"][name="${CSS.escape(button.dataset.use)}"]`)
    if (!field) return
    field.value = button.dataset.value
    for (let group = field.closest("details"); group; group = group.parentElement.closest("details")) group.open = true
    field.dispatchEvent(new Event("change", { bubbles: true }))
  })
  // Pictures that came or changed, another dataset, suggested prompts: all of it changes the plan.
  document.addEventListener("settled", plan)
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail?.ctx?.target ?? event.target
    if (!target?.closest?.("#plan, #advice, #tasks-button, toast-box")) plan()
  })
})()
