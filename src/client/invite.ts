/** The invitation in a room without messages: the address to share, and a button that copies it. */
import { make, room, words } from "./dom.js";

/** How long the button shows that the address was copied. */
const COPIED_MS = 2000;

const address = make("input", { readOnly: true, value: new URL(room.base, location.href).href });
const button = make("button", {}, words.copy);
export const invite = make("section", { className: "invite" }, make("p", {}, words.invite), address, button);

address.setAttribute("aria-label", words.invite);
button.setAttribute("aria-live", "polite");
button.addEventListener("click", async () => {
  // The address is selected, so that the user can copy it if the script may not: without permission, or over plain http.
  address.select();
  try {
    await navigator.clipboard.writeText(address.value);
  } catch {
    return;
  }
  button.textContent = words.copied;
  setTimeout(() => {
    button.textContent = words.copy;
  }, COPIED_MS);
});
