// Sound: above its waveform, below its spectrogram, the latest seconds, newest at the right.
import { Spectrum } from "./spectrum.js";
import { makeTile } from "./tile.js";
import { colour } from "./words.js";

const SECONDS = 6, BINS = 96, WINDOW = 512;

export function makeSound(topic) {
  let ring = null;
  const tile = makeTile("sound", topic, paint);
  tile.take = (frame) => {
    if (!ring || ring.rate !== frame.rate_hz) ring = new Ring(frame.rate_hz);
    ring.add(frame.first, frame.values);
    tile.root.dataset.end = ring.end;
    tile.touch();
  };

  function paint({ context, canvas }) {
    const { width, height } = canvas;
    context.fillStyle = colour("inset");
    context.fillRect(0, 0, width, height);
    if (!ring) return;
    const wave = Math.round(height * 0.42);
    ring.drawSpectrum(context, wave, width, height - wave);
    ring.drawWave(context, width, wave);
  }
  return tile;
}

class Ring {
  constructor(rate) {
    this.rate = rate;
    this.hop = Math.max(WINDOW / 2, Math.round((rate * SECONDS) / 500));
    this.columns = Math.ceil((rate * SECONDS) / this.hop);
    this.peaks = new Float32Array(this.columns * 2);
    this.spectrum = new Spectrum(WINDOW);
    this.strip = new OffscreenCanvas(this.columns, BINS);
    this.ink = this.strip.getContext("2d", { willReadFrequently: true });
    this.pending = new Float32Array(0);
    this.end = null;
    this.column = this.ink.createImageData(1, BINS);
  }

  // Take what is new; what was missed is a gap in the picture.
  add(first, samples) {
    const last = first + samples.length;
    if (this.end === null || last < this.end) this.end = first;
    const missed = Math.max(0, first - this.end);
    const fresh = samples.subarray(Math.max(0, this.end - first));
    const joined = new Float32Array(this.pending.length + Math.min(missed, this.rate * SECONDS) + fresh.length);
    joined.set(this.pending);
    for (let index = 0; index < fresh.length; index++) joined[joined.length - fresh.length + index] = fresh[index] / 32768;
    let at = 0;
    for (; at + WINDOW <= joined.length; at += this.hop) this.push(joined.subarray(at, at + WINDOW));
    this.pending = joined.slice(at);
    this.end = last;
  }

  push(window) {
    this.peaks.copyWithin(0, 2);
    let low = 0, high = 0;
    for (const value of window.subarray(0, this.hop)) { low = Math.min(low, value); high = Math.max(high, value); }
    this.peaks.set([low, high], this.peaks.length - 2);
    const power = this.spectrum.of(window);
    this.ink.drawImage(this.strip, -1, 0);
    for (let bin = 0; bin < BINS; bin++) {
      const share = bin / BINS;
      const at = Math.floor(power.length * (0.012 + 0.7 * share ** 1.6)); // low tones get more room
      const level = Math.max(0, Math.min(1, (10 * Math.log10(power[at] + 1e-9) + 62) / 62));
      const [red, green, blue] = heat(level);
      this.column.data.set([red, green, blue, 255 * Math.min(1, level * 2.2)], (BINS - 1 - bin) * 4);
    }
    this.ink.clearRect(this.columns - 1, 0, 1, BINS);
    this.ink.putImageData(this.column, this.columns - 1, 0);
  }

  drawWave(context, width, height) {
    const loudest = Math.max(0.05, ...this.peaks.map(Math.abs));
    const middle = height / 2, step = width / this.columns;
    context.strokeStyle = colour("accent");
    context.lineWidth = Math.max(1, step * 0.7);
    context.beginPath();
    for (let index = 0; index < this.columns; index++) {
      const x = (index + 0.5) * step;
      context.moveTo(x, middle - (this.peaks[2 * index + 1] / loudest) * middle * 0.92 - 0.5);
      context.lineTo(x, middle - (this.peaks[2 * index] / loudest) * middle * 0.92 + 0.5);
    }
    context.stroke();
  }

  drawSpectrum(context, top, width, height) {
    context.imageSmoothingEnabled = true;
    context.drawImage(this.strip, 0, top, width, height);
  }
}

const STOPS = [[26, 20, 60], [88, 44, 140], [196, 66, 120], [250, 146, 70], [253, 236, 160]];

function heat(level) {
  const place = level * (STOPS.length - 1);
  const at = Math.min(STOPS.length - 2, Math.floor(place));
  return STOPS[at].map((low, part) => low + (STOPS[at + 1][part] - low) * (place - at));
}
