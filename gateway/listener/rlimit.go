package listener

// unknownConnectionLimit is the ConnectionLimit of a system without a limit of
// open files.
const unknownConnectionLimit = 1 << 20
