// What the page checks ask of a page. Loaded into it by embreg.browsing; defines `embregPage` alone.
window.embregPage = (() => {
  const one = (el) => {
    if (el.id && /^[A-Za-z][\w-]*$/.test(el.id)) return `#${el.id}`;
    const parts = [];
    for (let at = el; at && at.nodeType === 1; at = at.parentElement) {
      if (at !== el && at.id && /^[A-Za-z][\w-]*$/.test(at.id)) { parts.unshift(`#${at.id}`); break; }
      const same = at.parentElement ? [...at.parentElement.children].filter((c) => c.tagName === at.tagName) : [];
      const nth = same.length > 1 ? `:nth-of-type(${same.indexOf(at) + 1})` : "";
      parts.unshift(at.tagName.toLowerCase() + nth);
    }
    return parts.join(" > ");
  };
  // As a reader of the report would look for it: <button class="x">Search</button>
  const words = (el) => {
    const kept = ["id", "class", "href", "src", "aria-label", "title"].filter((k) => el.getAttribute(k));
    const shown = kept.slice(0, 2).map((k) => ` ${k}="${el.getAttribute(k).trim().slice(0, 60)}"`).join("");
    const text = (el.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${el.tagName.toLowerCase()}${shown}>${text}`;
  };
  const named = (els) => els.map((el) => [one(el), words(el)]);
  const shown = (el) => el.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: false })
    && !el.closest("[inert]") && [...el.getClientRects()].some((r) => r.width > 0 && r.height > 0);

  // Formulas, fonts and images are there, and nothing moves any more.
  const settled = async () => {
    await window.MathJax?.startup?.promise;
    await document.fonts.ready;
    const late = [...document.images].map((img) => {
      if (img.loading === "lazy") img.loading = "eager";
      return img.decode().catch(() => 0);
    });
    await Promise.race([Promise.all(late), new Promise((done) => setTimeout(done, 5000))]);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    document.getAnimations().forEach((a) => { try { a.finish(); } catch { a.cancel(); } });
  };
  const images = () => named([...document.images].filter((img) => !img.complete || img.naturalWidth === 0));
  const formulas = () => ({
    made: document.querySelectorAll("mjx-container").length,
    failed: named([...document.querySelectorAll("mjx-merror, [data-mml-node='merror'], [data-mjx-error]")]),
  });
  // What makes the page itself scroll sideways: the outermost elements that nobody clips.
  const tooWide = () => {
    const room = document.documentElement.clientWidth + 1;
    if (document.scrollingElement.scrollWidth <= room) return [];
    const wide = [...document.body.querySelectorAll("*")].filter((el) => {
      if (el.getBoundingClientRect().right <= room || !shown(el)) return false;
      for (let at = el.parentElement; at && at !== document.body; at = at.parentElement)
        if (getComputedStyle(at).overflowX !== "visible") return false;
      return true;
    });
    return named(wide.filter((el) => !wide.includes(el.parentElement)));
  };

  // One element of each look: contrast is decided by these and by nothing else, and a page of 16 000
  // elements has a few dozen of them.
  const looks = () => {
    const grounds = new Map([[document, ""]]);
    const ground = (el) => {
      if (!el) return "";
      if (!grounds.has(el)) {
        const s = getComputedStyle(el);
        const own = [
          s.backgroundColor === "rgba(0, 0, 0, 0)" ? "" : s.backgroundColor,
          s.backgroundImage === "none" ? "" : s.backgroundImage,
          s.opacity === "1" ? "" : s.opacity,
          s.position === "static" || s.position === "relative" ? "" : `${s.position} ${el.className}`,
        ].join("");
        grounds.set(el, ground(el.parentElement) + (own && `/${own}`));
      }
      return grounds.get(el);
    };
    const seen = new Map();
    const written = (el) => [...el.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    for (const el of document.body.querySelectorAll("*")) {
      if (!written(el) && !/^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName)) continue;
      if (!shown(el)) continue;
      const s = getComputedStyle(el);
      const look = [s.color, s.fontSize, s.fontWeight, s.textShadow, ground(el)].join("|");
      if (!seen.has(look)) seen.set(look, el);
    }
    return [...seen.values()];
  };
  const axeFaults = async (off, onlyContrast) => {
    const options = { preload: false, resultTypes: ["violations"], rules: {} };
    const include = onlyContrast ? looks() : [document];
    if (!include.length) return [];
    if (onlyContrast) options.runOnly = ["color-contrast"];
    else ["color-contrast", ...off].forEach((id) => { options.rules[id] = { enabled: false }; });
    const { violations } = await axe.run({ include }, options);
    return violations.map((v) => ({
      id: v.id, help: v.help,
      nodes: v.nodes.map((n) => ({ at: [n.target].flat(9)[0], html: n.html, mend: n.failureSummary })),
    }));
  };

  // Keyboard: everything that answers to a pointer, and what of it the Tab key came to.
  const ANSWERS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [onclick], "
    + "[role=button], [role=link], [role=tab], [role=checkbox], [role=switch], [role=menuitem], [contenteditable=true]";
  const look = (el) => [el, el.parentElement, el.firstElementChild].filter(Boolean).map((at) => {
    const s = getComputedStyle(at);
    const outline = s.outlineStyle === "none" || s.outlineWidth === "0px" ? "" : s.outline;
    return [outline, s.boxShadow, s.border, s.backgroundColor, s.color, s.textDecorationLine, s.opacity,
      s.visibility, s.transform, s.top].join(";");
  }).join("|");
  let wanted, before, reached, unseen;
  const expectControls = () => {
    const still = document.createElement("style");
    still.textContent = "*, ::before, ::after { transition: none !important; animation: none !important; }";
    document.head.append(still);
    document.activeElement?.blur();
    const radios = new Set();
    wanted = [...document.querySelectorAll(ANSWERS)].filter((el) => {
      if (!shown(el) || el.disabled) return false;
      if (el.type !== "radio") return true;
      const first = !radios.has(el.name);  // arrows move within a group, Tab goes to one of it
      radios.add(el.name);
      return first;
    });
    before = new Map([...document.querySelectorAll("*")].filter((el) => el.matches(ANSWERS) || el.tabIndex >= 0)
      .map((el) => [el, look(el)]));
    [reached, unseen] = [new Set(), []];
    return wanted.length;
  };
  // Note where the focus is now; true when it has come round.
  const focused = () => {
    const el = document.activeElement;
    if (!el || el === document.body || el === document.documentElement) return reached.size > 0;
    if (reached.has(el)) return true;
    reached.add(el);
    const r = el.getBoundingClientRect();
    const inView = r.width > 0 && r.height > 0 && r.bottom > 0 && r.right > 0 && r.top < innerHeight && r.left < innerWidth;
    if (!inView || (before.has(el) && before.get(el) === look(el))) unseen.push(el);
    return false;
  };
  const keyboard = () => {
    const group = (el) => el.type === "radio" && [...reached].some((at) => at.type === "radio" && at.name === el.name);
    // What was put away meanwhile (a tooltip, a menu) cannot be asked for.
    return { missed: named(wanted.filter((el) => !reached.has(el) && !group(el) && shown(el))), unseen: named(unseen),
      reached: reached.size };
  };
  const mark = (selectors) => {
    const found = selectors.map((s) => { try { return document.querySelector(s); } catch { return null; } }).filter(Boolean);
    found.forEach((el) => el.style.setProperty("outline", "3px solid red", "important"));
    found[0]?.scrollIntoView({ block: "center", inline: "nearest" });
  };
  const unmark = () => document.querySelectorAll("[style*='solid red']").forEach((el) => el.style.removeProperty("outline"));
  return { settled, images, formulas, tooWide, axeFaults, expectControls, focused, keyboard, mark, unmark, named };
})();
