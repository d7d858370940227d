// The power spectrum of a real window: Hann, then a radix-2 fast Fourier transform in place.
export class Spectrum {
  constructor(size) {
    this.size = size;
    this.real = new Float32Array(size);
    this.imaginary = new Float32Array(size);
    this.power = new Float32Array(size / 2);
    this.hann = Float32Array.from({ length: size }, (_, index) => 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / size));
    const bits = Math.log2(size);
    this.order = Uint16Array.from({ length: size }, (_, index) => {
      let turned = 0;
      for (let bit = 0; bit < bits; bit++) if (index & (1 << bit)) turned |= 1 << (bits - 1 - bit);
      return turned;
    });
  }

  of(window) {
    const { size, real, imaginary, power } = this;
    for (let index = 0; index < size; index++) {
      real[this.order[index]] = window[index] * this.hann[index];
      imaginary[index] = 0;
    }
    for (let half = 1; half < size; half *= 2) {
      for (let pair = 0; pair < half; pair++) {
        const turn = (-Math.PI * pair) / half;
        const cosine = Math.cos(turn), sine = Math.sin(turn);
        for (let even = pair; even < size; even += 2 * half) {
          const odd = even + half;
          const r = real[odd] * cosine - imaginary[odd] * sine;
          const i = real[odd] * sine + imaginary[odd] * cosine;
          real[odd] = real[even] - r;
          imaginary[odd] = imaginary[even] - i;
          real[even] += r;
          imaginary[even] += i;
        }
      }
    }
    for (let index = 0; index < power.length; index++) power[index] = (real[index] ** 2 + imaginary[index] ** 2) / size;
    return power;
  }
}
