// Sparklines: one SVG area and line for a minute of figures.

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 120;
const HEIGHT = 32;

// Sparkline draws into an element; text for a screen reader is the caller's.
export class Sparkline {
  constructor(host) {
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    this.area = svg.appendChild(document.createElementNS(NS, "path"));
    this.area.setAttribute("class", "area");
    this.line = svg.appendChild(document.createElementNS(NS, "path"));
    this.line.setAttribute("class", "line");
    host.append(svg);
  }

  // draw shows a series, the newest at the right edge. null breaks the line.
  // least is the smallest value that the height stands for, so that the noise
  // of a small figure does not look like a mountain range.
  draw({ values, length }, least = 1) {
    const top = Math.max(...values.map((v) => v ?? 0), least) * 1.1;
    const x = (i) => WIDTH - (values.length - 1 - i) * (WIDTH / (length - 1));
    const y = (v) => HEIGHT - 1 - (v / top) * (HEIGHT - 3);
    let line = "";
    let area = "";
    for (const run of runs(values)) {
      const points = run.map((i) => `${x(i).toFixed(1)},${y(values[i]).toFixed(1)}`);
      // A lone point is drawn as a dot: a line of no length with round ends.
      line += `M${points.join("L")}${run.length === 1 ? "h0.01" : ""}`;
      area += `M${x(run[0]).toFixed(1)},${HEIGHT}L${points.join("L")}L${x(run.at(-1)).toFixed(1)},${HEIGHT}Z`;
    }
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
  }
}

// runs are the stretches of indices without a null.
function runs(values) {
  const all = [];
  let run = [];
  values.forEach((v, i) => {
    if (v !== null) run.push(i);
    else if (run.length > 0) run = (all.push(run), []);
  });
  if (run.length > 0) all.push(run);
  return all;
}
