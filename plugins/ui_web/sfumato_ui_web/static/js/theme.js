// Runs before anything is painted, so that the chosen theme does not flash. Not a module: those run later.
(() => {
  try {
    const theme = JSON.parse(localStorage.getItem("sfumato:theme") ?? '"auto"');
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is off, or holds something else: the system decides.
  }
})();
