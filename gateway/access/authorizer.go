package access

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/sse-gateway/sse-gateway/gateway/access/keys"
	"github.com/sse-gateway/sse-gateway/gateway/access/outbound"
	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
)

// Authorizer decides who may subscribe to which channel. It may be used
// concurrently.
type Authorizer struct {
	public  pattern.Set
	keys    keys.Source      // of tokens; nil: off
	tokens  *tokens          // nil: off
	forward *forward         // nil: off
	revoked *revocation.List // nil: off
}

// New checks the configuration, see [Config.Validate], and returns an
// Authorizer that has not asked anybody yet. It logs to log when the key server
// or the application go away and come back.
func New(cfg Config, log *slog.Logger) (*Authorizer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	public, err := pattern.Parse(cfg.PublicChannels)
	if err != nil {
		return nil, err
	}
	a := &Authorizer{public: public, revoked: cfg.Revocations}
	if cfg.tokensOn() {
		var algs []string
		if a.keys, algs, err = cfg.openKeys(log); err != nil {
			return nil, err
		}
		a.tokens = newTokens(cfg, a.keys, algs)
	}
	if cfg.AuthURL != "" {
		a.forward = newForward(cfg, log)
	}
	return a, nil
}

// openKeys opens the source of keys that the configuration names, and returns the
// algorithms that its tokens may have.
func (c Config) openKeys(log *slog.Logger) (source keys.Source, algs []string, err error) {
	switch {
	case c.JWKSURL != "":
		transport := c.keysTransport
		if transport == nil {
			// The server of keys may be outside, and is told nothing of clients.
			own := outbound.NewTransport(1)
			own.Proxy = http.ProxyFromEnvironment
			transport = own
		}
		source, err = keys.NewRemote(c.JWKSURL, transport, log)
		return source, keys.PublicKeys, err
	case c.JWTSecretFile != "":
		source, err = keys.SecretFile(c.JWTSecretFile, log)
		return source, keys.Secrets, err
	case c.JWTPublicKeyFile != "":
		source, err = keys.PublicKeyFile(c.JWTPublicKeyFile, log)
		return source, keys.PublicKeys, err
	}
	return keys.OfSecret([]byte(c.JWTSecret)), keys.Secrets, nil
}

// Run keeps the keys of a file or JWK set fresh until ctx is done, and then lets
// go of idle connections. It must be called once; requests before it are answered
// too, but keys are then only fetched when a token needs them.
func (a *Authorizer) Run(ctx context.Context) {
	if a.keys != nil {
		a.keys.Run(ctx)
	}
	<-ctx.Done()
	if a.forward != nil {
		a.forward.client.CloseIdleConnections()
	}
}

// Reload reads the file of keys at once, if there is one. What cannot be used of
// it is logged, and changes nothing.
func (a *Authorizer) Reload() {
	if a.keys != nil {
		a.keys.Reload()
	}
}

// reserved begins the names of channels that are the gateway's own.
const reserved = "gateway."

// Authorize decides whether the client of r may subscribe to all of channels;
// see the package documentation for the rules. It waits for the key server and
// the application, each bounded in time, and no longer than r's context. The
// error is always a *Refusal.
func (a *Authorizer) Authorize(r *http.Request, channels []string) (Grant, error) {
	// What does not look like a channel must never be compared with patterns
	// or put into a header.
	for _, ch := range channels {
		if !pattern.ValidChannel(ch) {
			return Grant{}, badRequest("a channel name is 1 to 200 of A-Z a-z 0-9 _ . : / { } -")
		}
		if strings.HasPrefix(ch, reserved) {
			return Grant{}, badRequest("channel names that begin with " + reserved + " are the gateway's own")
		}
	}
	if len(channels) == 0 {
		return Grant{}, badRequest("no channel was named")
	}
	if a.tokens != nil {
		token, ok, refusal := a.tokens.presented(r)
		if refusal != nil {
			return Grant{}, refusal
		}
		if ok {
			return a.byToken(r.Context(), token, channels)
		}
	}
	private := a.private(channels)
	switch {
	case len(private) == 0:
		return Grant{}, nil
	case a.forward != nil:
		return a.forward.authorize(r, private)
	case a.tokens != nil:
		return Grant{}, noToken()
	}
	return Grant{}, forbidden(fmt.Sprintf("channel %q is not public", private[0]))
}

func (a *Authorizer) byToken(ctx context.Context, token string, channels []string) (Grant, error) {
	if a.revoked != nil && !a.revoked.Known() {
		return Grant{}, revocationsUnknown()
	}
	v, refusal := a.tokens.verify(ctx, token)
	if refusal != nil {
		return Grant{}, refusal
	}
	if a.revoked != nil && a.revoked.Revoked(v.identity) {
		return Grant{}, badToken(errRevoked.Error(), errRevoked)
	}
	for _, ch := range channels {
		if !a.public.Match(ch) && !v.allowed.Match(ch) {
			return Grant{}, forbidden(fmt.Sprintf("the token does not allow channel %q", ch))
		}
	}
	return Grant{Expires: v.expires, Identity: v.identity}, nil
}

// private returns the channels that are not public; nil, without allocation, if
// all are.
func (a *Authorizer) private(channels []string) []string {
	var list []string
	for _, ch := range channels {
		if !a.public.Match(ch) {
			list = append(list, ch)
		}
	}
	return list
}
