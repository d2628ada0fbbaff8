package redistest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// ServeCommands listens until t ends, for what no server that can be started
// here says: it answers each command with what reply returns, bytes of RESP, and
// ends the connection after them if end is set or there are none. reply is
// called by one connection at a time.
func ServeCommands(t testing.TB, reply func(args []string) (bytes string, end bool)) (addr string) {
	t.Helper()
	var mu sync.Mutex
	return ServeConns(t, func(conn net.Conn) {
		defer conn.Close()
		r := bufio.NewReader(conn)
		for {
			args, err := readCommand(r)
			if err != nil {
				return
			}
			mu.Lock()
			bytes, end := reply(args)
			mu.Unlock()
			if _, err := io.WriteString(conn, bytes); err != nil || end || bytes == "" {
				return
			}
		}
	}).Addr().String()
}

// readCommand reads an array of strings.
func readCommand(r *bufio.Reader) ([]string, error) {
	number := func(kind byte) (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if line[0] != kind {
			return 0, fmt.Errorf("%q is no part of a command", line)
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number('*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := number('$')
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}
