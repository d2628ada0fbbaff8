// Package batch is what is written to a client at a time: frames, in plain or with the
// content coding gzip, as one chunk of a body that is chunked or as they are.
//
// A [Buffer] is filled with frames and gives an [Output], which is written piece by
// piece. Several streams may be written the output of one buffer. Large frames are not
// copied into it: an output refers to them.
package batch
