// Pictures: small ones that stand in a table beside the numbers they show, and charts of Observable Plot.
// Their places are percentages, so they fit any width without being measured.

const SYMBOLS = { PASS: d3.symbolCircle, FAIL: d3.symbolTimes, INCONCLUSIVE: d3.symbolTriangle2, ERROR: d3.symbolSquare2 };

/** Ends of an axis on which all values can be seen. Shares that lie far apart get the whole range from 0 to 1. */
function domainOf(values) {
  const [low, high] = d3.extent(values.filter(Number.isFinite));
  if (low === undefined) return [0, 1];
  const isShare = low >= 0 && high <= 1;
  if (isShare && high - low > 0.3) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  const [from, to] = d3.nice(low - room, high + room, 4);
  return [low >= 0 ? Math.max(0, from) : from, isShare ? Math.min(1, to) : to];
}

/** A function from values to places in percent. What lies outside is put at the edge: infinite bounds do. */
const placesOn = (domain) => d3.scaleLinear(domain, [0, 100]).clamp(true);

const at = (place, value, otherwise) => `${value === null || value === undefined ? otherwise : place(Number(value))}%`;

/** A mark of which the shape tells the verdict, as its colour does. */
const Mark = ({ x, gate, size = 70 }) => html`<svg x=${x} y="50%" overflow="visible">
  <path class="mark ${gate?.verdict ?? "logged"}" data-verdict=${gate?.verdict ?? "none"}
    d=${d3.symbol(gate ? SYMBOLS[gate.verdict] : d3.symbolCircle, gate ? size : 40)()} />
</svg>`;

/** Where a metric was in what it is compared with. */
const BaselineMark = ({ x }) => html`<svg x=${x} y="50%" overflow="visible">
  <path class="baseline" d=${d3.symbol(d3.symbolDiamond2, 90)()} />
</svg>`;

/** What a rule allows, as a shaded part, and its bounds as lines. */
function Allowed({ gate, place }) {
  const { low, high } = gate;
  if (low === null && high === null) return null;
  const from = low === null ? 0 : place(low);
  const to = high === null ? 100 : place(high);
  return html`
    <rect class="allowed" x="${from}%" width="${Math.max(0, to - from)}%" height="100%" />
    ${[low, high].filter((bound) => bound !== null).map((bound) => html`
      <line class="threshold" x1=${at(place, bound)} x2=${at(place, bound)} y1="0" y2="100%" />`)}`;
}

/** A metric of one cell: its value, how sure it is, what is required, and what it is compared with. */
function Strip({ gate, value, domain }) {
  const place = placesOn(domain);
  const interval = gate?.interval;
  return html`<svg class="strip" aria-hidden="true" focusable="false">
    ${gate && html`<${Allowed} gate=${gate} place=${place} />`}
    ${interval && html`<line class="interval" y1="50%" y2="50%" x1=${at(place, interval.low, 0)} x2=${at(place, interval.high, 100)} />`}
    ${gate?.comparison && html`<${BaselineMark} x=${at(place, gate.comparison.baseline)} />`}
    ${Number.isFinite(value) && html`<${Mark} x=${at(place, value)} gate=${gate} />`}
  </svg>`;
}

/** A distribution: a box with the middle half of the values, its median, and whiskers from the 5th to the 95th percentile. */
function Box({ spread, domain }) {
  const place = placesOn(domain);
  const [low, first, median, third, high] = ["p5", "q1", "median", "q3", "p95"].map((key) => place(spread[key]));
  return html`<svg class="strip" aria-hidden="true" focusable="false">
    <line class="whisker" x1="${low}%" x2="${high}%" y1="50%" y2="50%" />
    ${[low, high].map((end) => html`<line class="whisker" x1="${end}%" x2="${end}%" y1="36%" y2="64%" />`)}
    <rect class="box" x="${first}%" width="${third - first}%" y="28%" height="44%" />
    <line class="median" x1="${median}%" x2="${median}%" y1="24%" y2="76%" />
  </svg>`;
}

/** The ends and the middle of an axis, above a column of pictures. */
const Axis = ({ domain: [low, high], unit = short }) => html`<span class="axis" aria-hidden="true">
  ${[low, (low + high) / 2, high].map((tick) => html`<span>${unit(tick)}</span>`)}
</span>`;

/** The width of an element, once the reader has come near it: what is far away need not be drawn. */
function useWidth(element) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const size = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    const near = new IntersectionObserver(([entry]) => {
      if (entry.isIntersecting) size.observe(element.current);
    }, { rootMargin: "1200px" });
    near.observe(element.current);
    return () => [size, near].forEach((watch) => watch.disconnect());
  }, []);
  return width;
}

/** A chart of Plot, as wide as its place. `draw` is given the width; `label` says what the chart shows. */
function Chart({ draw, label, height }) {
  const place = useRef(null);
  const width = useWidth(place);
  useEffect(() => {
    if (!width) return;
    const chart = draw(width);
    // The label of the place and the table below say it all: the parts of the picture would only be noise.
    chart.setAttribute("aria-hidden", "true");
    place.current.replaceChildren(chart);
  }, [draw, width]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${place} style=${{ minHeight: `${height}px` }}></div>`;
}
