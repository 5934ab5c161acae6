// Ticks for a page that may be in the background, whose own timers browsers slow down to one a minute.
"use strict";

onmessage = (event) => setTimeout(() => postMessage(null), event.data);
