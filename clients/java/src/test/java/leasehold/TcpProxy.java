package leasehold;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Passes connections on to a server, and can cut them all. */
final class TcpProxy implements AutoCloseable {
  private final ServerSocket listening = new ServerSocket(0, 200, InetAddress.getLoopbackAddress());
  private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
  private final String host;
  private final int port;

  TcpProxy(String target) throws IOException {
    host = target.substring(0, target.lastIndexOf(':'));
    port = Integer.parseInt(target.substring(target.lastIndexOf(':') + 1));
    start(this::accept);
  }

  String address() {
    return "127.0.0.1:" + listening.getLocalPort();
  }

  /** How many connections clients have. */
  int connections() {
    return sockets.size() / 2;
  }

  /** Cuts all connections; new ones are passed on. */
  void cut() {
    sockets.forEach(TcpProxy::close);
  }

  @Override
  public void close() throws IOException {
    listening.close();
    cut();
  }

  private static void start(Runnable run) {
    Thread thread = new Thread(run, "proxy");
    thread.setDaemon(true);
    thread.start();
  }

  private void accept() {
    try {
      while (true) {
        Socket client = listening.accept();
        Socket server = new Socket(host, port);
        client.setTcpNoDelay(true);
        server.setTcpNoDelay(true);
        sockets.add(client);
        sockets.add(server);
        start(() -> pass(client, server));
        start(() -> pass(server, client));
      }
    } catch (IOException e) {
      // It is closed.
    }
  }

  private void pass(Socket from, Socket to) {
    try (InputStream input = from.getInputStream();
        OutputStream output = to.getOutputStream()) {
      input.transferTo(output);
    } catch (IOException e) {
      // The connection is over.
    } finally {
      for (Socket socket : new Socket[] {from, to}) {
        close(socket);
        sockets.remove(socket);
      }
    }
  }

  private static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      // It is over already.
    }
  }
}
