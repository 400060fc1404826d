// What the theme leaves out for readers who use a keyboard, a screen reader or a phone.
(() => {
  // The theme complains on the console of a reader's first visit, when no colour scheme was ever chosen, and
  // shows a page without colours until its scripts have run. This one stands in the head.
  const root = document.documentElement;
  root.dataset.mode ||= "auto";
  if (!["light", "dark"].includes(root.dataset.theme))
    root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

  // On a phone a sidebar is a dialog over the page, which the theme closes by Escape or by a touch beside it.
  const addClose = (sidebar) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn embreg-close";
    button.textContent = "Close";
    button.addEventListener("click", () => button.closest("dialog")?.close());
    sidebar.prepend(button);
  };

  // A formula may be wider than the page and scroll by itself: then the keyboard has to reach it.
  const focusable = () => {
    const formulas = (found) =>
      found.querySelectorAll('mjx-container[display="true"]').forEach((formula) => (formula.tabIndex = 0));
    formulas(document);
    new MutationObserver(() => formulas(document)).observe(document.body, { childList: true, subtree: true });
  };

  document.addEventListener("DOMContentLoaded", () => {
    const sidebar = document.getElementById("pst-primary-sidebar");
    if (sidebar) {
      sidebar.setAttribute("role", "region"); // the logo's name stands outside of every landmark
      sidebar.setAttribute("aria-label", "Sidebar");
    }
    document.querySelectorAll("#pst-primary-sidebar, #pst-secondary-sidebar").forEach(addClose);
    focusable();
    document.querySelectorAll(".bd-sidebar-primary li.has-children").forEach((item) => {
      const chapter = item.querySelector(":scope > a")?.textContent.trim();
      item.querySelector(":scope > details > summary")?.setAttribute("aria-label", `Pages below: ${chapter}`);
    });
  });
})();
