package deploy_test

import (
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/deploy/proxytest"
)

// Proxies that cannot see /readyz pass a gateway by that refuses.
func TestRefusingGatewayIsPassedBy(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nginx", "Varnish"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stubs := startStubs(t, 0)
			stubs[1].refusing.Store(true)
			lb := proxytest.Starters()[name](t, time.Minute, gatewaysOf(stubs)...)
			for range 6 {
				for version, url := range map[int]string{1: lb.HTTP1, 2: lb.HTTP2} {
					if _, name := subscribe(t, url, version); name == "gateway-2" {
						t.Error("gateway-2 answered, which refuses")
					}
				}
			}
		})
	}
}
