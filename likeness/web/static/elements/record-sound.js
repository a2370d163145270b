// <record-sound for="zone" most="60"></record-sound>
//
// Records with the microphone into a 16-bit WAV of one channel, made in the page: level, time, stop, hear it, use it.
// `most`: seconds after which it stops by itself. `for`: the id of a <drop-zone> that sends the file, with its progress
// and its words for refusals. Tells 'recorded' (detail: file) when a recording is taken. What keeps it from recording
// is told in words, with what can be done about it. Nothing leaves the page before "Use it" is pressed.
"use strict";
(() => {
  const here = document.currentScript.src
  const QUIET = 0.02, SILENT = 0.004, LOUD = 0.985  // of full scale
  const PROBLEMS = {
    insecure: "The browser gives the microphone only to pages that are opened on this machine (127.0.0.1) or by https. Record with another program, and drop the file here.",
    NotAllowedError: "The browser may not use the microphone. Allow it at the sign beside the address, then try again; or drop a file.",
    NotFoundError: "There is no microphone. Plug one in and try again, or drop a file.",
    NotReadableError: "The microphone does not answer: another program may have it. Close that, then try again.",
    ended: "The microphone went away while it was recording. What had come is kept below.",
  }
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`

  class RecordSound extends HTMLElement {
    #state = "idle"  // idle, asking, recording, done
    #parts = []; #count = 0; #rate = 0; #peak = 0; #loud = 0; #shown = 0
    #stream = null; #context = null; #file = null; #address = ""

    connectedCallback() {
      if (this.firstElementChild) return
      this.innerHTML = `<div class="row">
          <button type="button" class="button" data-do="record"><span class="record-dot" aria-hidden="true"></span><span>Record</span></button>
          <button type="button" class="button primary" data-do="stop" hidden><span class="record-square" aria-hidden="true"></span><span>Stop</span></button>
          <span class="record-time numbers" aria-hidden="true">0:00</span>
          <span class="record-level" role="meter" aria-label="Level of the microphone" aria-valuemin="0" aria-valuemax="100" aria-valuenow="0"><i></i></span>
        </div>
        <p class="record-words small" role="status"></p>
        <div class="record-taken stack tight" hidden><audio controls aria-label="What was recorded"></audio><div class="row tight">
          <button type="button" class="button primary" data-do="use">Use it</button><button type="button" class="button quiet" data-do="again">Record again</button></div></div>`
      this.addEventListener("click", (event) => {
        const deed = event.target.closest("[data-do]")?.dataset.do
        if (deed === "record" || deed === "again") this.record()
        if (deed === "stop") this.stop()
        if (deed === "use") this.#use()
      })
      addEventListener("beforeunload", (event) => { if (this.isConnected && ["recording", "done"].includes(this.#state)) event.preventDefault() })
      this.#draw()
    }

    disconnectedCallback() { this.#let_go() }

    get most() { return Number(this.getAttribute("most")) || 120 }
    get seconds() { return this.#rate ? this.#count / this.#rate : 0 }

    async record() {
      if (this.#state === "asking" || this.#state === "recording") return
      this.#forget()
      if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) return this.#fail("insecure")
      this.#turn("asking", "The browser asks whether it may use the microphone …")
      try {
        // As it sounds: what helps in telephone calls takes away from a voice.
        this.#stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false,
          noiseSuppression: false, autoGainControl: false } })
        this.#context = new AudioContext()
        await this.#context.audioWorklet.addModule(here.replace(/record-sound\.js$/, "record-worklet.js"))
        await this.#context.resume()
        if (!this.isConnected) return this.#let_go()
        this.#rate = this.#context.sampleRate
        const node = new AudioWorkletNode(this.#context, "record-samples", { numberOfOutputs: 0 })
        node.port.onmessage = (event) => this.#heard(event.data)
        this.#context.createMediaStreamSource(this.#stream).connect(node)
        this.#stream.getAudioTracks()[0].addEventListener("ended", () => this.stop("ended"))
        this.#turn("recording", "Speak as you usually do, a hand's breadth from the microphone.")
        this.querySelector("[data-do=stop]").focus()
      } catch (error) {
        this.#fail(error.name, error.message)
      }
    }

    stop(why = "") {
      if (this.#state !== "recording") return
      this.#let_go()
      if (this.#peak < SILENT) return this.#fail("", "Nothing was heard. Look whether the right microphone is chosen, and whether it is muted.")
      const name = `recording-${new Date(Date.now() - new Date().getTimezoneOffset() * 6e4).toISOString().slice(0, 19).replace(/[T:]/g, "-")}.wav`
      this.#file = new File([wave(this.#parts, this.#count, this.#rate)], name, { type: "audio/wav" })
      this.#address = URL.createObjectURL(this.#file)
      this.querySelector("audio").src = this.#address
      const words = why === "ended" ? PROBLEMS.ended : this.#loud > this.#rate / 500 ? "It was too loud in places: what is cut off there cannot be put back. Better record again from further away."
        : this.#peak < QUIET * 2 ? "It is very quiet. Better record again from nearer."
        : why === "most" ? `It stopped after ${this.most} seconds: more is not needed.` : "Hear it, and use it if it is good."
      this.#turn("done", words)
      this.querySelector("[data-do=use]").focus()
    }

    #heard(samples) {
      if (this.#state !== "recording") return
      this.#parts.push(samples)
      this.#count += samples.length
      let peak = 0
      for (const value of samples) {
        const size = Math.abs(value)
        if (size > peak) peak = size
        if (size >= LOUD) this.#loud++
      }
      this.#peak = Math.max(this.#peak, peak)
      this.#shown = Math.max(peak, this.#shown * 0.95)
      const level = Math.round(100 * Math.max(0, 1 + Math.log10(Math.max(this.#shown, 1e-4)) / 2.5))  // -50 dB to 0
      const meter = this.querySelector(".record-level")
      meter.style.setProperty("--level", `${level}%`)
      meter.classList.toggle("loud", this.#shown >= LOUD)
      meter.setAttribute("aria-valuenow", level)
      this.querySelector(".record-time").textContent = clock(this.seconds)
      if (this.seconds > 2 && this.#peak < QUIET) this.#say("Very little is heard. Go nearer, or look which microphone is chosen.")
      else if (this.#loud > this.#rate / 500) this.#say("Too loud: go a little further away.")
      if (this.seconds >= this.most) this.stop("most")
    }

    #use() {
      if (!this.#file) return
      const file = this.#file
      this.#forget()
      this.#turn("idle", "")
      this.dispatchEvent(new CustomEvent("recorded", { detail: { file }, bubbles: true }))
      document.getElementById(this.getAttribute("for"))?.add([[file, file.name]])
      this.querySelector("[data-do=record]").focus()
    }

    #fail(name, words = "") {
      this.#let_go()
      this.#forget()
      this.#turn("idle", PROBLEMS[name] ?? words ?? name, true)
    }

    #forget() {
      if (this.#address) URL.revokeObjectURL(this.#address)
      this.querySelector("audio").removeAttribute("src")
      this.querySelector(".record-time").textContent = clock(0)
      this.#parts = []
      this.#count = this.#peak = this.#loud = this.#shown = 0
      this.#file = null
      this.#address = ""
    }

    #let_go() {
      for (const track of this.#stream?.getTracks() ?? []) track.stop()
      if (this.#context && this.#context.state !== "closed") this.#context.close()
      this.#stream = this.#context = null
    }

    #turn(state, words, bad = false) {
      this.#state = state
      this.#say(words, bad)
      this.#draw()
    }

    #say(words, bad = false) {
      const line = this.querySelector(".record-words")
      if (line.textContent !== words) line.textContent = words
      line.classList.toggle("bad", bad)
    }

    #draw() {
      const on = this.#state === "recording"
      this.toggleAttribute("recording", on)
      this.querySelector("[data-do=record]").hidden = on || this.#state === "done"
      this.querySelector("[data-do=record]").disabled = this.#state === "asking"
      this.querySelector("[data-do=stop]").hidden = !on
      this.querySelector(".record-time").hidden = this.querySelector(".record-level").hidden = !on
      this.querySelector(".record-taken").hidden = this.#state !== "done"
    }
  }

  // The samples as a RIFF WAVE file: one channel, 16 bits.
  function wave(parts, count, rate) {
    const data = new DataView(new ArrayBuffer(44 + 2 * count))
    const words = (at, text) => [...text].forEach((letter, index) => data.setUint8(at + index, letter.charCodeAt(0)))
    words(0, "RIFF"), data.setUint32(4, 36 + 2 * count, true), words(8, "WAVEfmt ")
    data.setUint32(16, 16, true), data.setUint16(20, 1, true), data.setUint16(22, 1, true)
    data.setUint32(24, rate, true), data.setUint32(28, 2 * rate, true), data.setUint16(32, 2, true), data.setUint16(34, 16, true)
    words(36, "data"), data.setUint32(40, 2 * count, true)
    let at = 44
    for (const part of parts) for (const value of part) {
      data.setInt16(at, Math.round(Math.max(-1, Math.min(1, value)) * 32767), true)
      at += 2
    }
    return data.buffer
  }

  customElements.define("record-sound", RecordSound)
})()
