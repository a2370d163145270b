
"use strict";
// A finding's button leaves only its pictures; pressed again, all come back.
const buttons = [...document.querySelectorAll(".show")];
const cards = [...document.querySelectorAll(".card")];
const shown = document.getElementById("shown");
const all = shown.textContent;

for (const button of buttons) {
  button.addEventListener("click", () => {
    const chosen = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.check;
    for (const other of buttons) other.setAttribute("aria-pressed", String(other.dataset.check === chosen));
    for (const card of cards) card.hidden = chosen !== null && !card.dataset.checks.includes(` ${chosen} `);
    const count = cards.filter((card) => !card.hidden).length;
    shown.textContent = chosen === null ? all : `${count} of ${cards.length} shown`;
    if (chosen !== null) document.getElementById("pictures").scrollIntoView();
  });
}
