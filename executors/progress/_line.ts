/**
 * What a bar says, in one line that fits.
 *
 * @module
 */

/** How far a loop is. */
export interface Progress {
  readonly label: string;
  readonly unit: string;
  readonly value: number;
  readonly total: number | undefined;
  /** In milliseconds. */
  readonly elapsed: number;
  readonly hasEnded: boolean;
}

/** What the terminal writes behind the line when Ctrl-C is pressed. */
const INTERRUPT = "^C";

/** The line. It is so much narrower than the terminal that this wraps nothing, nor does what Ctrl-C adds. */
export function line(state: Progress, width: number, bar: (fraction: number, size: number) => string): string {
  const { value, total, elapsed, hasEnded } = state;
  const label = plain(state.label) && `${plain(state.label)} `;
  const unit = plain(state.unit) && ` ${plain(state.unit)}`;
  const rate = value / elapsed * 1_000;
  const known = value > 0 && elapsed > 0;
  const tail = known ? `, ${rateText(rate)}` : "";
  const room = Math.max(0, width - 1 - INTERRUPT.length);
  if (total === undefined) return cut(`${label}${value}${unit}${tail}, ${timeText(elapsed)}`, room);
  const fraction = total === 0 ? 1 : Math.min(value / total, 1);
  const left = hasEnded
    ? `, ${timeText(elapsed)}`
    : known && value < total
    ? `, ${timeText(Math.ceil((total - value) / rate) * 1_000)} left`
    : "";
  const before = `${label}${`${Math.floor(fraction * 100)}%`.padStart(4)} |`;
  const after = `| ${value}/${total}${unit}${tail}${left}`;
  return cut(before + bar(fraction, Math.max(0, room - columns(before) - columns(after))) + after, room);
}

function rateText(perSecond: number): string {
  if (perSecond >= 1) return `${perSecond >= 100 ? Math.round(perSecond) : perSecond.toFixed(1)}/s`;
  return `${(1 / perSecond).toFixed(1)} s each`;
}

function timeText(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** Without what moves the cursor. */
function plain(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, " ");
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** What takes no column: it changes the character before it. */
const MARK = /[\p{Mn}\p{Me}\u200c\u200d\u1160-\u11ff\ud7b0-\ud7fb\u{e0020}-\u{e007f}]/u;
const WIDE = new RegExp(
  String.raw`[\u1100-\u115f\u2329\u232a\u2630-\u2637\u268a-\u268f\u2e80-\ua4cf\ua960-\ua97c\uac00-\ud7a3` +
    String.raw`\uf900-\ufaff\ufe10-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{1b2ff}\u{1d300}-\u{1d376}` +
    String.raw`\u{1f1e6}-\u{1faff}\u{20000}-\u{3fffd}\p{Extended_Pictographic}]`,
  "u",
);

/** With a terminal that shows each part on its own, such as the people of a family in an emoji. */
function columnsOf(grapheme: string): number {
  let sum = 0;
  for (const character of grapheme) if (!MARK.test(character)) sum += WIDE.test(character) ? 2 : 1;
  // A variation selector makes an emoji of a digit or a sign.
  return grapheme.includes("\ufe0f") ? Math.max(sum, 2) : sum;
}

/** How many columns of a terminal a text takes; at the most, where terminals differ. */
export function columns(text: string): number {
  let sum = 0;
  for (const { segment } of graphemes.segment(text)) sum += columnsOf(segment);
  return sum;
}

function cut(text: string, room: number): string {
  let taken = "";
  for (const { segment } of graphemes.segment(text)) {
    room -= columnsOf(segment);
    if (room < 0) break;
    taken += segment;
  }
  return taken;
}
