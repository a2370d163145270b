// What every page does: the theme button, the heartbeat that live parts listen to, questions before deeds, words for
// requests that failed. No module: it runs after htmx and before Alpine.
"use strict";

// Theme: a click turns it over and remembers; <button data-theme-set="light|dark|"> chooses, "" follows the system.
const theme = {
  get chosen() { return document.documentElement.dataset.theme || "" },
  get shown() { return this.chosen || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") },
  set(value) {
    if (value) document.documentElement.dataset.theme = value
    else delete document.documentElement.dataset.theme
    try { value ? localStorage.setItem("theme", value) : localStorage.removeItem("theme") } catch { /* not kept */ }
    this.tell()
  },
  tell() {
    for (const button of document.querySelectorAll("[data-theme-set]"))
      button.setAttribute("aria-pressed", String(button.dataset.themeSet === this.chosen))
  },
}
document.addEventListener("click", (event) => {
  const set = event.target.closest("[data-theme-set]")
  if (set) theme.set(set.dataset.themeSet)
  if (event.target.closest("[data-theme-turn]")) theme.set(theme.shown === "dark" ? "light" : "dark")
  const opener = event.target.closest("[data-open]")
  if (opener) document.getElementById(opener.dataset.open)?.showModal()
  const closer = event.target.closest("[data-close]")
  if (closer) closer.closest("dialog")?.close()
  if (event.target instanceof HTMLDialogElement && event.target.hasAttribute("data-light")) event.target.close()
})
document.addEventListener("DOMContentLoaded", () => theme.tell())

// The heartbeat: hx-trigger="tick from:body" asks again every two seconds, and not while the tab is hidden.
// "slowtick" comes with every third.
const TICK = 2000
let beats = 0
function beat() {
  if (document.hidden) return
  document.body.dispatchEvent(new CustomEvent("tick"))
  if (beats++ % 3 === 0) document.body.dispatchEvent(new CustomEvent("slowtick"))
}
setInterval(beat, TICK)
document.addEventListener("visibilitychange", () => { beats = 0; beat() })

// hx-confirm asks in the page's own dialog. data-confirm-word: what the button says.
document.addEventListener("htmx:confirm", (event) => {
  const source = event.detail.ctx?.sourceElement ?? event.target
  const question = source?.getAttribute?.("hx-confirm")
  if (!question) return
  event.preventDefault()
  const dialog = document.getElementById("confirm")
  dialog.querySelector("p").textContent = question
  const yes = dialog.querySelector("[value=yes]")
  yes.textContent = source.dataset.confirmWord || "Yes"
  yes.classList.toggle("danger", source.classList.contains("danger"))
  dialog.returnValue = ""
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "yes") event.detail.issueRequest()
    else event.detail.dropRequest?.()
  }, { once: true })
  dialog.showModal()
})

// toast("words", "good" | "error" | "") from anywhere; the server sends them as partials.
window.toast = (words, kind = "") => document.querySelector("toast-box")?.say(words, kind)
// An answer that is no HTML is a problem told by the gate or the REST interface: its words, never its text, are shown.
document.addEventListener("htmx:after:request", (event) => {
  const ctx = event.detail.ctx
  const kind = ctx.response?.headers.get("Content-Type") ?? ""
  if (!kind.startsWith("application/problem+json") || ctx.response.headers.has("HX-Redirect")) return
  event.preventDefault()
  let words = ctx.text
  try { words = JSON.parse(ctx.text).detail } catch { /* as it is */ }
  window.toast(words, "error")
})
document.addEventListener("htmx:error", (event) => {
  const ctx = event.detail.ctx
  if (ctx?.response || document.hidden) return
  if (ctx?.sourceElement?.closest?.("[data-quiet]")) return  // a live part: it asks again by itself
  window.toast("The server cannot be reached. Is likeness serve still running?", "error")
})

// Where a swap put a dialog that is meant to be open, open it; where it put [autofocus], go there.
document.addEventListener("htmx:after:swap", () => {
  mark()
  for (const dialog of document.querySelectorAll("dialog[data-open-now]:not([open])")) {
    dialog.removeAttribute("data-open-now")
    dialog.showModal()
  }
})

// How many jobs ended unseen stands in the title too, where one sees it from another tab.
function mark() {
  const count = Number(document.getElementById("tasks-button")?.dataset.unseen ?? 0)
  document.title = (count ? `(${count}) ` : "") + document.title.replace(/^\(\d+\) /, "")
}
mark()
