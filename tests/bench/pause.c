/* A program that does nothing until it is killed, or, with an argument, ends at once. Static and without the GNU library, which costs a virtual machine more
 * to start than all that is measured here: a benchmark of containers is to measure containers. */
#include <unistd.h>

int main(int argc, char **argv)
{
    while (argc == 1)
        pause();
    return 0;
}
