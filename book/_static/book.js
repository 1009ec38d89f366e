// What scrolls inside a page can be reached by keyboard, toggles have names, and the bibliography is not announced as an empty list.
addEventListener("load", () => {
  for (const box of document.querySelectorAll(".bd-article table, .bd-article figure, .bd-article pre, .bd-article div.math"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  for (const toggle of document.querySelectorAll(".bd-sidebar summary")) toggle.ariaLabel = "pages below this one";
  for (const list of document.querySelectorAll(".citation-list")) list.removeAttribute("role");
});

// Figures to explore are drawn when they are opened; the library is loaded with the first of them.
const home = document.currentScript.src.replace(/book\.js.*/, "");
let plotly;
const library = () => plotly ??= new Promise((done, failed) => {
  const script = document.createElement("script");
  Object.assign(script, { src: home + "plotly.js", onload: done, onerror: failed });
  document.head.append(script);
});
const ink = () => getComputedStyle(document.body).getPropertyValue("--pst-color-text-base").trim();
async function draw(box) {
  const place = box.querySelector(".explored");
  if (!box.open || place.childElementCount) return;
  await library();
  const figure = JSON.parse(box.querySelector("script").textContent);
  figure.layout.font = { color: ink(), family: "inherit" };
  await Plotly.newPlot(place, { ...figure, config: { responsive: true, displayModeBar: false } });
}
addEventListener("load", () => {
  for (const box of document.querySelectorAll("details.explore")) box.addEventListener("toggle", () => draw(box));
});
