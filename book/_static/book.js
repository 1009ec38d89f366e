// What scrolls inside a page can be reached by keyboard, and the bibliography is not announced as an empty list.
addEventListener("load", () => {
  for (const box of document.querySelectorAll(".bd-article table, .bd-article figure, .bd-article pre, .bd-article div.math"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  for (const list of document.querySelectorAll(".citation-list")) list.removeAttribute("role");
});
