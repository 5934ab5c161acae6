// A frame of the entry's goes on to its notebook: that this page is shown means that the sites around it may frame it.
"use strict";

// What is sandboxed has no origin of its own, is nobody whom the entry knows, and would come back here for ever.
if (window.origin !== "null") location.replace(location.pathname + location.search);
