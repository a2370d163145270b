// <compare-slider a="/left.png" b="/right.png" a-label="epoch 2" b-label="epoch 8" mode="slide" alt="…">
//
// Two pictures of the same thing: one over the other under a slider, beside each other, or their difference, amplified.
// Change the attributes to show others. Keys, where the focus is inside: s, b, d choose how, x exchanges the two; the
// slider obeys arrows, Home and End. `plain`: without the buttons. Tells 'mode' when another way was chosen.
"use strict";
(() => {
  const MODES = [["slide", "Slider"], ["beside", "Beside"], ["difference", "Difference"]]
  const MOST = 1024  // pixels of a side that are subtracted

  class CompareSlider extends HTMLElement {
    static observedAttributes = ["a", "b", "a-label", "b-label", "mode", "alt"]
    #stage; #slider; #gain; #told; #turn = 0

    connectedCallback() {
      if (this.#stage) return
      this.innerHTML = `<div class="compare-bar row tight"><div class="buttons" role="group" aria-label="How to compare">
        ${MODES.map(([name, text]) => `<button type="button" class="button small" data-mode="${name}">${text}</button>`).join("")}
        </div><button type="button" class="button small quiet" data-exchange>Exchange</button>
        <label class="compare-gain" hidden>Amplified <input type="range" min="1" max="16" value="4"><output>4×</output></label></div>
        <div class="compare-stage"><figure class="of-a"><img><figcaption></figcaption></figure>
        <figure class="of-b"><img><figcaption></figcaption></figure><canvas hidden></canvas><span class="compare-edge"></span>
        <input class="compare-range" type="range" min="0" max="100" step="0.5" value="50" aria-label="How much of the left picture is shown"></div>
        <p class="compare-told small soft" role="status"></p>`
      this.#stage = this.querySelector(".compare-stage")
      this.#slider = this.querySelector(".compare-range")
      this.#gain = this.querySelector(".compare-gain input")
      this.#told = this.querySelector(".compare-told")
      this.querySelector(".compare-bar").hidden = this.hasAttribute("plain")
      this.#slider.addEventListener("input", () => this.#stage.style.setProperty("--at", `${this.#slider.value}%`))
      this.#gain.addEventListener("input", () => {
        this.querySelector(".compare-gain output").textContent = `${this.#gain.value}×`
        this.#subtract()
      })
      for (const image of this.querySelectorAll("img")) {
        image.decoding = "async"
        image.addEventListener("load", () => this.#came(image))
        image.addEventListener("error", () => { this.#told.textContent = `${image.alt}: cannot be shown` })
      }
      this.addEventListener("click", (event) => {
        const button = event.target.closest("button")
        if (button?.dataset.mode) this.setAttribute("mode", button.dataset.mode)
        else if (button && "exchange" in button.dataset) this.exchange()
      })
      this.addEventListener("keydown", (event) => this.#key(event))
      this.#show()
    }

    attributeChangedCallback(name, before, now) {
      if (!this.#stage || before === now) return
      this.#show()
      if (name === "mode") this.dispatchEvent(new CustomEvent("mode", { detail: this.mode, bubbles: true }))
    }

    get mode() {
      const asked = this.getAttribute("mode")
      return MODES.some(([name]) => name === asked) ? asked : "slide"
    }

    exchange() {
      const was = ["a", "b", "a-label", "b-label"].map((name) => this.getAttribute(name) ?? "")
      ;[["a", was[1]], ["b", was[0]], ["a-label", was[3]], ["b-label", was[2]]].forEach((pair) => this.setAttribute(...pair))
    }

    #key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return
      const mode = MODES.find(([name]) => name[0] === event.key)
      if (mode) this.setAttribute("mode", mode[0])
      else if (event.key === "x") this.exchange()
    }

    #show() {
      const mode = this.mode
      this.#stage.dataset.mode = mode
      for (const side of ["a", "b"]) {
        const [image, label] = [this.querySelector(`.of-${side} img`), this.getAttribute(`${side}-label`) ?? ""]
        const address = this.getAttribute(side) ?? ""
        if (!address) image.removeAttribute("src")
        else if (image.getAttribute("src") !== address) image.src = address
        image.alt = [label, this.getAttribute("alt")].filter(Boolean).join(": ") || (side === "a" ? "left picture" : "right picture")
        const caption = this.querySelector(`.of-${side} figcaption`)
        caption.textContent = label
        caption.hidden = !label || mode === "difference"
      }
      this.#slider.hidden = this.querySelector(".compare-edge").hidden = mode !== "slide"
      this.querySelector(".compare-gain").hidden = this.querySelector("canvas").hidden = mode !== "difference"
      for (const button of this.querySelectorAll("[data-mode]"))
        if (button !== this.#stage) button.setAttribute("aria-pressed", String(button.dataset.mode === mode))
      this.#told.textContent = ""
      this.#subtract()
    }

    #came(image) {
      if (image.parentElement.classList.contains("of-a")) {
        this.#stage.style.setProperty("--shape", `${image.naturalWidth} / ${image.naturalHeight}`)
        this.#stage.style.setProperty("--natural", `${image.naturalWidth}px`)
      }
      this.#subtract()
    }

    // |A - B|, amplified: black where nothing differs. The second is brought to the size of the first.
    async #subtract() {
      if (this.mode !== "difference") return
      const turn = ++this.#turn
      const [a, b] = this.querySelectorAll("img")
      try { await Promise.all([a.decode(), b.decode()]) } catch { return }
      if (turn !== this.#turn) return
      const scale = Math.min(1, MOST / Math.max(a.naturalWidth, a.naturalHeight))
      const [width, height] = [Math.round(a.naturalWidth * scale), Math.round(a.naturalHeight * scale)]
      const canvas = this.querySelector("canvas")
      Object.assign(canvas, { width, height })
      const context = canvas.getContext("2d", { willReadFrequently: true })
      const [first, second] = [a, b].map((image) => {
        context.drawImage(image, 0, 0, width, height)
        return context.getImageData(0, 0, width, height)
      })
      const [left, right, gain] = [first.data, second.data, Number(this.#gain.value)]
      let sum = 0
      for (let i = 0; i < left.length; i++) {
        if (i % 4 === 3) { left[i] = 255; continue }
        const far = Math.abs(left[i] - right[i])
        sum += far
        left[i] = far * gain
      }
      context.putImageData(first, 0, 0)
      const share = 100 * sum / (0.75 * left.length * 255)
      this.#told.textContent = sum ? `They differ by ${share < 0.1 ? "less than 0.1" : share.toFixed(1)} % of full range.` : "They are the same."
    }
  }
  customElements.define("compare-slider", CompareSlider)
})()
