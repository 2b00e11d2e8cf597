// The frame: which view is shown, and the way from one to another.

const VIEWS = { overview: "Overview", rows: "Rows", trend: "Trend", about: "About this session" };

function App() {
  const [state, change] = useAddress();
  const view = state.view in VIEWS ? state.view : "overview";
  return html`
    <header class="top">
      <p class="brand">pytest-llmops</p>
      <nav aria-label="Views">
        ${Object.entries(VIEWS).map(([key, title]) => html`
          <a href=${linkTo({ view: key })} aria-current=${key === view ? "page" : null}>${title}</a>`)}
      </nav>
    </header>
    <main>
      <h1>${report.line}</h1>
    </main>`;
}

render(html`<${App} />`, document.getElementById("app"));
