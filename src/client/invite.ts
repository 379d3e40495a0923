/** The invitation in a room without messages: the address to share, and a button that copies it. */
import { make, type Words } from "./dom.js";

/** How long the button shows that the address was copied. */
const COPIED_MS = 2000;

/** Returns the invitation. @param base the path from the page to the chat's root */
export function makeInvite({ invite, copy, copied }: Words, base: string): HTMLElement {
  const address = make("input", "");
  address.readOnly = true;
  address.value = new URL(base, location.href).href;
  address.setAttribute("aria-label", invite);
  const button = make("button", "", copy);
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    // Selected, so that the user can copy it where the script may not: without permission, or over plain http.
    address.select();
    try {
      await navigator.clipboard.writeText(address.value);
    } catch {
      return;
    }
    button.textContent = copied;
    setTimeout(() => {
      button.textContent = copy;
    }, COPIED_MS);
  });
  return make("section", "invite", make("p", "", invite), address, button);
}
