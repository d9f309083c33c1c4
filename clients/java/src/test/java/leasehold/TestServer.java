package leasehold;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

/** The server that `npm run test:clients` starts for the clients' own tests. */
final class TestServer {
  private TestServer() {}

  static String address() {
    String given = System.getenv("LEASEHOLD_TEST_ADDRESS");
    assumeTrue(
        given != null, "no server: set LEASEHOLD_TEST_ADDRESS to the address of one, as `npm run test:clients` does");
    return given;
  }
}
