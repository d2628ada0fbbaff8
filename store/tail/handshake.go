package tail

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// abilities is what a server has told of itself in the handshake.
type abilities struct {
	trimsInside bool  // see redisstream.Snapshot
	why         error // why it is polled, in its own words; nil if it tracks keys
}

// ask is Asker.Do with an error that names the command, but not its arguments.
func ask(c Asker, args ...string) (any, error) {
	reply, err := c.Do(args...)
	if err != nil {
		err = fmt.Errorf("%s: %w", args[0], err)
	}
	return reply, err
}

// handshake authenticates, and switches to RESP3, the database and CLIENT
// TRACKING. An error reply about credentials, rights or loading is an error; any
// other means that the server cannot do what it was asked for, and has to be
// polled.
func handshake(ctx context.Context, c Asker, cfg *Config, readOnly bool) (abilities, error) {
	username, password, err := cfg.Credentials(ctx)
	if err == nil && password != "" { // without one there is nobody to authenticate as
		err = authenticate(c, username, password)
	}
	if err != nil {
		return abilities{}, err
	}
	a, err := hello(c)
	if err == nil && cfg.DB != 0 {
		_, err = ask(c, "SELECT", strconv.Itoa(cfg.DB))
	}
	if err == nil && readOnly {
		_, err = ask(c, "READONLY")
	}
	if err != nil || a.why != nil {
		return a, err
	}
	if _, err = ask(c, "CLIENT", "TRACKING", "ON"); resp.IsUnsupported(err) {
		a.why, err = err, nil
	}
	return a, err
}

// authenticate is a command of its own and not a part of HELLO: a server that
// does not know HELLO repeats the arguments in its error, which is logged.
func authenticate(c Asker, username, password string) error {
	args := []string{"AUTH", username, password}
	if username == "" {
		args = []string{"AUTH", password}
	}
	_, err := ask(c, args...)
	if resp.IsUnsupported(err) {
		err = resp.Error(strings.ReplaceAll(err.Error(), password, "***"))
	}
	return err
}

// hello switches to RESP3. Some servers accept HELLO 3, stay with RESP2, and
// announce no changes. The reply tells.
func hello(c Asker) (a abilities, err error) {
	reply, err := ask(c, "HELLO", "3")
	if resp.IsUnsupported(err) {
		return abilities{why: err}, nil
	}
	fields := make(map[any]any)
	list, _ := reply.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		if name, ok := list[i].(string); ok {
			fields[name] = list[i+1]
		}
	}
	// Redis has trimmed inside of streams on request since 8.2; see
	// https://redis.io/docs/latest/commands/xtrim/.
	var major, minor int
	if version, _ := fields["version"].(string); fields["server"] == "redis" {
		n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor)
		a.trimsInside = n == 2 && (major > 8 || major == 8 && minor >= 2)
	}
	if proto := fields["proto"]; proto != int64(3) {
		a.why = fmt.Errorf("HELLO 3: the server goes on in protocol %v", proto)
	}
	return a, err
}
