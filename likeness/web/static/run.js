// The page of a run: clicks in a table of pictures put two of a row under its slider. The first click is A, the next B,
// and so on in turn; a click in another row takes both there. What is picked outlives a swap of the table.
"use strict";
(() => {
  const picked = new Map()  // id of the slider -> {row, a, b, next}, a and b being columns

  const sliderOf = (table) => table.closest(".card, #comparison").querySelector("compare-slider")
  const cell = (table, row, column) => table.querySelector(`.cell[data-src][data-row="${row}"][data-epoch="${column}"]`)

  function show(table) {
    const slider = sliderOf(table)
    if (!slider) return
    let state = picked.get(slider.id)
    const cells = [...table.querySelectorAll(".cell[data-src]")]
    for (const other of cells) delete other.dataset.side
    if (!cells.length) return
    if (!state || !cell(table, state.row, state.a) || !cell(table, state.row, state.b)) {
      const row = cells.filter((one) => one.dataset.row === cells[0].dataset.row)
      if (row.length < 2) return
      const best = row.find((one) => one.dataset.epoch === table.dataset.best) ?? row.at(-1)
      state = { row: row[0].dataset.row, a: row[0].dataset.epoch, b: best === row[0] ? row[1].dataset.epoch : best.dataset.epoch, next: "a", own: false }
    }
    // Until somebody picks, B is the best or the latest there is.
    if (picked.get(slider.id)?.own === false && table.dataset.best && cell(table, state.row, table.dataset.best)) state.b = table.dataset.best
    picked.set(slider.id, state)
    for (const side of ["a", "b"]) {
      const one = cell(table, state.row, state[side])
      one.dataset.side = side.toUpperCase()
      slider.setAttribute(side, one.dataset.src)
      slider.setAttribute(`${side}-label`, one.dataset.label)
    }
    slider.setAttribute("alt", table.querySelector(`tr:has(.cell[data-row="${state.row}"]) th`)?.textContent.trim() ?? "")
    slider.hidden = false
  }

  document.addEventListener("click", (event) => {
    const one = event.target.closest(".cell[data-src]")
    if (!one) return
    const table = one.closest(".epochs"), slider = sliderOf(table)
    const state = picked.get(slider?.id) ?? { next: "a" }
    const { row, epoch } = one.dataset
    if (state.row !== row && cell(table, row, state.a) && cell(table, row, state.b)) state.row = row
    state.row = row
    state[state.next] = epoch
    state.next = state.next === "a" ? "b" : "a"
    state.own = true
    picked.set(slider.id, state)
    show(table)
  })
  const all = () => { for (const table of document.querySelectorAll(".epochs")) show(table) }
  document.addEventListener("htmx:after:swap", all)
  document.addEventListener("DOMContentLoaded", all)
})()
