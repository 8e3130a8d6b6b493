// The examples name this server as the reader reached it.
"use strict";

for (const place of document.querySelectorAll("[data-origin]")) place.textContent = location.origin;
