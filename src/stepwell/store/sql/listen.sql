-- Hear the hints that work has come or that an execution somebody waits for has ended. Locks: none.
listen stepwell
