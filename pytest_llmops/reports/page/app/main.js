// The frame: which view is shown, and the way from one to another.

const VIEWS = {
  overview: { title: "Overview", view: Overview },
  rows: { title: "Rows", view: RowsView },
  trend: { title: "Trend", view: Trend },
  about: { title: "About this session", label: "About", view: About },
};

/** How many of the gates that can stop a deployment passed, and what became of the others. */
function Kept({ deciding }) {
  if (!deciding.length) return html`<span class="hint">none was decided</span>`;
  const passed = deciding.filter((gate) => gate.verdict === "PASS").length;
  const closes = deciding.some((gate) => gate.closes);
  const verdict = closes ? "FAIL" : passed < deciding.length ? "INCONCLUSIVE" : "PASS";
  const others = shortOf(deciding).map(([word, found]) => `, ${found.length} ${word}`).join("");
  return html`<span class="verdict ${verdict} ${closes ? "closes" : ""}"><span aria-hidden="true">${MARKS[verdict]}</span>${" "}
    ${others ? `${passed} of ${deciding.length} kept${others}` : `${passed} kept`}</span>`;
}

/** Whether candidates may take the flow's place, a line each. */
const Candidates = ({ candidates }) => html`<ul class="candidates">${candidates.map(({ answer, text }) => html`
  <li data-answer=${answer}>${text}</li>`)}</ul>`;

const anyCandidates = report.experiments.some(({ candidates }) => candidates.length);

/** Use cases in one table: which of them passed, and whether another variant or a candidate could take over. */
const UseCases = () => html`<section class="section" aria-labelledby="use-cases"><h2 id="use-cases">Use cases</h2>
  <div class="panel"><${Scroller} label="Use cases"><table class="wide">
    <thead><tr><th scope="col">Use case</th><th scope="col">Gates that decide</th><th scope="col">Decided by</th>
      <th scope="col">Other variants</th>${anyCandidates && html`<th scope="col">Candidates</th>`}</tr></thead>
    <tbody>${report.experiments.map((experiment) => {
      const deciding = experiment.gates.filter((gate) => gate.blocking || gate.closes);
      return html`<tr>
        <th scope="row"><a href=${linkTo({ view: "overview", use: experiment.path })}>${experiment.name}</a></th>
        <td><${Kept} deciding=${deciding} /></td>
        <td>${decidersText(experiment)}</td><td class="lead">${othersText(experiment)}</td>
        ${anyCandidates && html`<td class="lead"><${Candidates} candidates=${experiment.candidates} /></td>`}
      </tr>`;
    })}</tbody>
  </table><//></div></section>`;

/** The variants whose quality can close the gate. */
function decidersText(experiment) {
  const variants = [...new Set(experiment.cells.filter((cell) => isRequired(experiment, cell)).map(variantName))];
  if (variants.length > 2) return count(variants.length, "variant");
  return variants.join(", ") || "no variant: only what breaks closes the gate";
}

/** Decision and why, then how the variants stand, then the rest. A link may lead to one of the use cases. */
function Overview({ state }) {
  useEffect(() => {
    const number = report.experiments.findIndex((experiment) => experiment.path === state.use);
    const heading = document.getElementById(`use-${number}`);
    heading?.scrollIntoView();
    heading?.focus({ preventScroll: true });
  }, [state.use]);
  return html`<${Decision} /><${Closing} /><${UseCases} /><${Leaderboard} /><${Weaker} /><${HeatMap} /><${Distributions} />`;
}

/** Chooses the other theme for as long as the page is open. */
function ThemeButton() {
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  const turn = () => {
    document.documentElement.style.colorScheme = dark ? "light" : "dark";
    setDark(!dark);
  };
  return html`<button class="button quiet" onClick=${turn}>${dark ? "Light" : "Dark"} theme</button>`;
}

const DecisionState = () => html`<a class="state" href=${linkTo({ view: "overview" })}>
  <span class="verdict closes ${report.decision.state === "open" ? "PASS" : "FAIL"}">
    <span aria-hidden="true">${report.decision.state === "open" ? MARKS.PASS : MARKS.FAIL}</span> ${report.decision.state}</span></a>`;

function App() {
  const [state, change] = useAddress();
  const key = Object.hasOwn(VIEWS, state.view) ? state.view : "overview";
  const { title, view: View } = VIEWS[key];
  const main = useRef(null);
  const first = useRef(true);
  useEffect(() => {
    // A row that a link leads to takes the focus itself.
    if (!first.current && !state.row) {
      scrollTo(0, 0);
      main.current.focus({ preventScroll: true });
    }
    first.current = false;
  }, [key]);
  return html`
    <header class="bar"><div class="top">
      <button class="button skip" onClick=${() => main.current.focus()}>Skip to the content</button>
      <p class="brand">pytest-llmops</p>
      <nav aria-label="Views">
        ${Object.entries(VIEWS).map(([other, { title, label = title }]) => html`
          <a href=${linkTo({ view: other })} aria-current=${other === key ? "page" : null}>${label}</a>`)}
      </nav>
      <${DecisionState} /><${ThemeButton} />
    </div></header>
    <main ref=${main} tabindex="-1">
      ${key !== "overview" && html`<h1>${title}</h1>`}
      <${View} state=${state} change=${change} />
    </main>`;
}

render(html`<${App} />`, document.getElementById("app"));
