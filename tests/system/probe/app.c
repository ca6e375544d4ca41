/* The application of the test images: answers /readyz, or takes connections and stays silent when
 * it gets an argument. One line on stdout for each connection, so that they can be counted. */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(3000)};
    char request[4096];
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 64)) return 1;
    for (;;) {
        int connection = accept(listener, 0, 0);
        if (connection < 0) continue;
        while (write(1, ".\n", 2) < 0) {}
        read(connection, request, sizeof request);
        if (argc > 1)
            read(connection, request, sizeof request); /* until the probe gives up */
        else
            send(connection, answer, sizeof answer - 1, 0);
        close(connection);
    }
}
