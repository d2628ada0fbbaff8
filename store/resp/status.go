package resp

// Status is a Sink that skips a reply and keeps only whether it is an error.
// The zero Status is ready for one reply.
type Status struct {
	err   error
	depth int
}

// Err returns the error reply, nil if the reply was none.
func (s *Status) Err() error { return s.err }

// Begin is of Sink.
func (s *Status) Begin(Kind, int) error { s.depth++; return nil }

// Reserve is of Sink.
func (s *Status) Reserve(int) []byte { return nil }

// Scalar is of Sink.
func (s *Status) Scalar(kind Kind, text []byte, _ int) error {
	if s.depth == 0 && (kind == SimpleErr || kind == BulkErr) {
		s.err = Error(text)
	}
	return nil
}

// End is of Sink.
func (s *Status) End() error { s.depth--; return nil }
