package tail

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// abilities is what a server has told of itself in the handshake.
type abilities struct {
	tracking    bool // it announces changes of the keys that were read
	trimsInside bool // it may trim inside a stream without a trace; see redisstream.Snapshot
	// why it is polled, in its own words; nil if tracking is set
	why error
}

// handshake prepares a new connection: authentication, RESP3, the database,
// and CLIENT TRACKING. An error reply is an answer. One that is about
// credentials, rights or loading is an error; any other means that the server
// cannot do what it was asked for, and has to be polled.
func handshake(ctx context.Context, c Asker, cfg *Config, readOnly bool) (abilities, error) {
	username, password, err := cfg.Credentials(ctx)
	if err != nil {
		return abilities{}, err
	}
	if err := authenticate(c, username, password); err != nil {
		return abilities{}, err
	}
	a, err := hello(c)
	if err != nil {
		return a, err
	}
	if cfg.DB != 0 {
		if _, err := c.Do("SELECT", strconv.Itoa(cfg.DB)); err != nil {
			return a, fmt.Errorf("SELECT: %w", err)
		}
	}
	if readOnly {
		if _, err := c.Do("READONLY"); err != nil {
			return a, fmt.Errorf("READONLY: %w", err)
		}
	}
	if a.why != nil {
		return a, nil
	}
	_, err = c.Do("CLIENT", "TRACKING", "ON")
	switch {
	case err == nil:
		a.tracking = true
	case resp.IsUnsupported(err):
		a.why, err = fmt.Errorf("CLIENT TRACKING: %w", err), nil
	default:
		err = fmt.Errorf("CLIENT TRACKING: %w", err)
	}
	return a, err
}

// authenticate is a command of its own and not a part of HELLO: a server that
// does not know HELLO repeats the arguments in its error, which is logged. No
// password means that there is nobody to authenticate as.
func authenticate(c Asker, username, password string) error {
	if password == "" {
		return nil
	}
	args := []string{"AUTH", password}
	if username != "" {
		args = []string{"AUTH", username, password}
	}
	_, err := c.Do(args...)
	if resp.IsUnsupported(err) {
		err = resp.Error(strings.ReplaceAll(err.Error(), password, "***"))
	}
	if err != nil {
		return fmt.Errorf("AUTH: %w", err)
	}
	return nil
}

// hello switches to RESP3. There are servers that accept HELLO 3 and stay with
// RESP2, in which changes are not announced. The reply tells.
func hello(c Asker) (abilities, error) {
	reply, err := c.Do("HELLO", "3")
	switch {
	case resp.IsUnsupported(err):
		return abilities{why: fmt.Errorf("HELLO 3: %w", err)}, nil
	case err != nil:
		return abilities{}, fmt.Errorf("HELLO: %w", err)
	}
	fields := make(map[string]any)
	if list, ok := reply.([]any); ok {
		for i := 0; i+1 < len(list); i += 2 {
			if name, ok := list[i].(string); ok {
				fields[name] = list[i+1]
			}
		}
	}
	a := abilities{trimsInside: trimsInside(fields)}
	if proto := fields["proto"]; proto != int64(3) {
		a.why = fmt.Errorf("HELLO 3: the server goes on in protocol %v", proto)
	}
	return a, nil
}

// trimsInside reads the reply to HELLO. Redis has trimmed inside of streams on
// request since 8.2; see https://redis.io/docs/latest/commands/xtrim/.
func trimsInside(hello map[string]any) bool {
	if hello["server"] != "redis" {
		return false
	}
	version, _ := hello["version"].(string)
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return errors.Join(err1, err2) == nil && (a > 8 || a == 8 && b >= 2)
}
