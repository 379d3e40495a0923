/** All cases. The order of these imports is that of the report. */
import "./delivery.js";
import "./much.js";
import "./polls.js";
import "./cursors.js";
import "./plain.js";
import "./messages.js";
import "./history.js";
import "./sessions.js";
import "./browsers.js";
import "./names.js";
import "./presence.js";
import "./errors.js";
import "./http.js";
import "./connections.js";
import "./restart.js";
