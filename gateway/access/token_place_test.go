package access

import (
	"net/http"
	"strings"
	"testing"
)

func TestTokenPlaces(t *testing.T) {
	a := newAuthorizer(t, secretConfig())
	good, other := signHS(t, goodClaims()), signHS(t, goodClaims("sub", "other"))
	plain := newAuthorizer(t, Config{PublicChannels: []string{"public:*"}, JWTSecret: Secret(testKeys.secret)})
	for name, tc := range map[string]struct {
		a      *Authorizer
		r      *http.Request
		status int // for orders:1; 0: allowed
		public int // for public:1
	}{
		"none":                       {a, request("/events"), 401, 0},
		"bearer":                     {a, bearer(good), 0, 0},
		"scheme in capitals":         {a, request("/", "Authorization", "BEARER "+good), 0, 0},
		"more space":                 {a, request("/", "Authorization", " bearer   "+good+" "), 0, 0},
		"tab":                        {a, request("/", "Authorization", "Bearer\t"+good), 0, 0},
		"scheme alone":               {a, request("/", "Authorization", "Bearer"), 401, 401},
		"another scheme":             {a, request("/", "Authorization", "Basic dTpw"), 401, 0},
		"another scheme and cookie":  {a, request("/", "Authorization", "Basic dTpw", "Cookie", "session="+good), 0, 0},
		"cookie":                     {a, request("/", "Cookie", "a=b; session="+good+"; c=d"), 0, 0},
		"cookie in quotes":           {a, request("/", "Cookie", `session="`+good+`"`), 0, 0},
		"cookie on a second line":    {a, request("/", "Cookie", "a=b", "Cookie", "session="+good), 0, 0},
		"another cookie":             {a, request("/", "Cookie", "Session="+good), 401, 0},
		"empty cookie":               {a, request("/", "Cookie", "session="), 401, 0},
		"bad cookie":                 {a, request("/", "Cookie", "session=\x80\"x"), 401, 401},
		"two cookies":                {a, request("/", "Cookie", "session="+good+"; session="+other), 401, 401},
		"one cookie twice":           {a, request("/", "Cookie", "session="+good+"; session="+good), 0, 0},
		"query":                      {a, request("/?token=" + good), 0, 0},
		"query, encoded name":        {a, request("/?t%6fken=" + good), 0, 0},
		"empty query":                {a, request("/?token="), 401, 401},
		"two in query":               {a, request("/?token=" + good + "&token=" + other), 401, 401},
		"query that does not parse":  {a, request("/?a=%zz&token=" + good), 400, 400},
		"query with semicolon":       {a, request("/?a=b;token=" + good), 400, 400},
		"two headers":                {a, request("/", "Authorization", "Bearer "+good, "Authorization", "Bearer "+other), 401, 401},
		"header and cookie equal":    {a, request("/?token="+good, "Authorization", "Bearer "+good, "Cookie", "session="+good), 0, 0},
		"header and cookie differ":   {a, request("/", "Authorization", "Bearer "+good, "Cookie", "session="+other), 401, 401},
		"header and query differ":    {a, request("/?token="+other, "Authorization", "Bearer "+good), 401, 401},
		"good and empty":             {a, request("/?token=", "Authorization", "Bearer "+good), 401, 401},
		"empty and good":             {a, request("/?token="+good, "Authorization", "Bearer"), 401, 401},
		"cookie not configured":      {plain, request("/", "Cookie", "session="+good), 401, 0},
		"query not configured":       {plain, request("/?token=" + good), 401, 0},
		"query off, does not parse":  {plain, request("/?a=%zz"), 401, 0},
		"two, of which one is not":   {plain, request("/?token="+other, "Authorization", "Bearer "+good), 0, 0},
		"empty query without tokens": {newAuthorizer(t, Config{PublicChannels: []string{"public:*"}}), bearer("bad"), 403, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for channel, status := range map[string]int{"orders:1": tc.status, "public:1": tc.public} {
				_, err := tc.a.Authorize(tc.r, []string{channel})
				if status != 0 {
					refused(t, err, status)
				} else if err != nil {
					t.Errorf("%s: %v", channel, err)
				}
			}
		})
	}
}

func TestChannelNamesAreChecked(t *testing.T) {
	a := newAuthorizer(t, Config{PublicChannels: []string{"**"}})
	for _, bad := range [][]string{nil, {""}, {"a,b"}, {"ok", "a\r\nX: y"}, {"*"}, {"../\x00"}, {strings.Repeat("a", 201)}} {
		_, err := a.Authorize(request("/events"), bad)
		refused(t, err, http.StatusBadRequest)
	}
}
