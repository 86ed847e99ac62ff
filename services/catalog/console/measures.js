// Sizes, times and counts in words.

const STEPS = ["bytes", "kB", "MB", "GB", "TB"];

export function size(count) {
  let step = 0;
  let value = count;
  while (value >= 999.5 && step < STEPS.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${step && value < 99.95 ? value.toFixed(1) : Math.round(value)} ${STEPS[step]}`;
}

/** A time in the reader's own zone and language. */
export function moment(time) {
  const date = time instanceof Date ? time : new Date(time);
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(date);
}

export function seconds(count) {
  const whole = Math.round(count);
  const two = (part) => String(part).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  return `${hours ? `${hours}:` : ""}${hours ? two(Math.floor(whole / 60) % 60) : Math.floor(whole / 60)}:${two(whole % 60)}`;
}

export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
