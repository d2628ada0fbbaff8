package access

import "net/http"

// Refusal says why a request may not subscribe. It is an error.
type Refusal struct {
	// Status is the HTTP status: 400, 401, 403, or 503 for a temporary refusal. It
	// is also the category of the refusal: each stands for one reason.
	Status int
	// Message may be shown to the client.
	Message string
	// Temporary tells that the same request may well be allowed a little later,
	// so the client should retry.
	Temporary bool
	// Challenge is the value of WWW-Authenticate; empty if there is none.
	Challenge string
	// Err is the cause, for logs only; nil if there is none. It never holds a
	// credential. It is context.Canceled if the client itself went away.
	Err error
}

// Error returns the message and the cause.
func (r *Refusal) Error() string {
	s := r.Message
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func badRequest(message string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Message: message}
}

// noToken is the refusal of a request that needs a token and has none. RFC
// 6750, section 3.1: then the challenge carries no error code.
func noToken() *Refusal {
	return &Refusal{Status: http.StatusUnauthorized,
		Message: "a token is needed for this channel", Challenge: "Bearer"}
}

// badToken is the refusal of a token. The message is one of this package's own
// texts and holds no quote, so it can stand in the challenge.
func badToken(message string, cause error) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Message: message, Err: cause,
		Challenge: `Bearer error="invalid_token", error_description="` + message + `"`}
}

func forbidden(message string) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Message: message}
}

func unavailable(message string, cause error) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Message: message, Temporary: true, Err: cause}
}

// revocationsUnknown is the refusal of a replica that has not read the stream of
// revocations yet.
func revocationsUnknown() *Refusal {
	return unavailable("this replica does not know the revocations yet", nil)
}
