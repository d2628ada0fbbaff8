package redisurl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
)

// SetCredentials sets the user name and the file with the password of the
// servers, where the URL has none; "" leaves what the URL has. The file has to be
// readable already. The sentinels' user and password are not affected.
// SetCredentials must be called before the Address is used.
func (a *Address) SetCredentials(username, passwordFile string) error {
	switch {
	case username != "" && a.username != "":
		return errors.New("the user name is in the URL as well: leave one out")
	case passwordFile != "" && a.password != "":
		return errors.New("the password is in the URL as well: leave one out")
	case username != "" && passwordFile == "" && a.password == "":
		return errors.New("the user name needs a password: without one, clients of Redis send neither")
	}
	if username != "" {
		a.username = username
	}
	a.passwordFile = passwordFile
	_, _, err := a.Credentials(context.Background())
	return err
}

// Credentials returns the user name and the password for a new connection to a
// server; both may be "". It reads the password file each time, so that a
// connection after a rotation has the new password. One newline (LF or CRLF) at the
// end of the file is no part of the password. Errors name the file and show nothing of it.
func (a *Address) Credentials(context.Context) (username, password string, err error) {
	if a.passwordFile == "" {
		return a.username, a.password, nil
	}
	b, err := os.ReadFile(a.passwordFile)
	if err != nil {
		return "", "", fmt.Errorf("the password file: %w", err)
	}
	if line, found := bytes.CutSuffix(b, []byte("\n")); found {
		b = bytes.TrimSuffix(line, []byte("\r"))
	}
	if len(b) == 0 {
		return "", "", fmt.Errorf("the password file %s is empty", a.passwordFile)
	}
	return a.username, string(b), nil
}
