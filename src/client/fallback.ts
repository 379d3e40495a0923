/**
 * Makes the page refresh itself, as it does without scripts, if its script fails to start. This is a classic script in
 * the syntax of 2015, so that it also runs in browsers that cannot parse the other script.
 */
(() => {
  const { body } = document;

  const fallBack = () => {
    removeEventListener("error", onError, true);
    for (const noscript of document.querySelectorAll("noscript"))
      noscript.outerHTML = noscript.textContent || "";
    // The note in the footer says that times are UTC.
    for (const time of document.querySelectorAll("time"))
      time.textContent = time.dateTime.slice(11, 16).replace(/^0/, "");
    // The copy has none of the script's listeners: the browser itself submits it.
    const form = document.getElementById("composer");
    if (form) form.replaceWith(form.cloneNode(true));
    const status = document.getElementById("status");
    const strings = document.getElementById("strings");
    if (!status || !strings) return;
    status.className = "stopped";
    status.textContent = JSON.parse(strings.textContent || "{}").failed;
  };

  const onError = ({ target }: Event) => {
    // Errors of images and style sheets come here too.
    const isScript = target === window || target instanceof HTMLScriptElement;
    if (isScript && body.dataset.started === undefined) fallBack();
  };

  // Browsers without this property cannot load modules.
  if ("noModule" in HTMLScriptElement.prototype) addEventListener("error", onError, true);
  else fallBack();
})();
