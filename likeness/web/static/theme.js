// Runs before the first paint: the chosen theme, where one was chosen; else the page follows the system.
(() => {
  let theme = null
  try { theme = localStorage.getItem("theme") } catch { /* storage is switched off */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme
})()
