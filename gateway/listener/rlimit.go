package listener

// UnknownConnectionLimit is the ConnectionLimit of a system without a limit of
// open files.
const UnknownConnectionLimit = 1 << 20
