// The page 'Train': whatever changes in its form asks for a new plan, a little later; [data-use] puts a value into a field.
"use strict";
(() => {
  const WAIT = 500, LONG_WAIT = 3000  // milliseconds after the last key; after the last change of a picture or caption
  let timer = 0, planned = ""
  const written = () => new URLSearchParams(new FormData(document.getElementById("train"))).toString()
  function plan(wait = WAIT) {
    clearTimeout(timer)
    planned = written()
    document.getElementById("start-button")?.setAttribute("aria-disabled", "true")
    timer = setTimeout(() => document.body.dispatchEvent(new CustomEvent("plan")), wait)
  }
  for (const kind of ["input", "change"])
    document.addEventListener(kind, ({ target }) => {
      if (target.form?.id !== "train" || target.name === "new-dataset") return
      if (target.name === "base-own") target.closest(".choice").querySelector("[name=base]").checked = true
      if (written() !== planned) plan()  // leaving a field tells of the change once more
    })
  // What is shown is no longer what is asked for: the button waits for the new plan.
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#start-button[aria-disabled=true]")) return
    event.stopImmediatePropagation()
    event.preventDefault()
    window.toast("One moment: the plan is worked out anew")
  }, { capture: true })
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
  // Pictures and captions that came or changed, another dataset, suggested prompts: all of it changes the plan.
  document.addEventListener("settled", () => plan(LONG_WAIT))
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail?.ctx?.target ?? event.target
    if (target?.closest?.("#panel")) plan(LONG_WAIT)
    else if (target?.closest?.("#bases, #dataset, #prompts")) plan()
  })
})()
