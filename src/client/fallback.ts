/**
 * Makes the page refresh itself, as it does without scripts, if its script fails to start. This is a classic script in
 * the syntax of 2015, so that it also runs in browsers that cannot parse the other script.
 */
(() => {
  const fallBack = () => {
    for (const noscript of document.querySelectorAll("noscript"))
      noscript.outerHTML = noscript.textContent || "";
    // The note in the footer says that times are UTC.
    for (const time of document.querySelectorAll("time"))
      time.textContent = time.dateTime.slice(11, 16).replace(/^0/, "");
    const status = document.getElementById("status");
    if (!status) return;
    status.className = "stopped";
    status.textContent = status.dataset.failed || "";
  };

  const onError = ({ target }: Event) => {
    // Errors of images and style sheets come here too.
    const isScript = target === window || target instanceof HTMLScriptElement;
    if (isScript && document.body.dataset.started === undefined) fallBack();
  };

  // Browsers without this property cannot load modules.
  if ("noModule" in HTMLScriptElement.prototype) addEventListener("error", onError, true);
  else fallBack();
})();
