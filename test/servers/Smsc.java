import java.io.FileWriter;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.Date;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.jsmpp.bean.*;
import org.jsmpp.extra.ProcessRequestException;
import org.jsmpp.session.*;
import org.jsmpp.session.connection.socket.ServerSocketConnection;
import org.jsmpp.util.DeliveryReceiptState;
import org.jsmpp.util.MessageId;

/**
 * A message center for SMPP 3.4 on loopback: Smsc PORT FILE. What it does with a message depends on the last digit
 * of its number, and a line of FILE says what it was asked: number, answer, UDH or not, data coding, bytes.
 *
 * 2: accepts it, and cannot deliver it. 3: refuses the number. 4: is throttled twice before it accepts it. 5: its
 * queue is full, once. Any other: accepts and delivers it.
 */
public class Smsc {
    static final int INVALID_NUMBER = 0x0b, QUEUE_FULL = 0x14, THROTTLED = 0x58;
    static final Map<String, Integer> asked = new ConcurrentHashMap<>();
    static final AtomicInteger ids = new AtomicInteger();
    static final ScheduledExecutorService later = Executors.newScheduledThreadPool(1);
    static PrintWriter file;

    public static void main(String[] args) throws Exception {
        file = new PrintWriter(new FileWriter(args[1]), true);
        var socket = new ServerSocket(Integer.parseInt(args[0]), 50, InetAddress.getLoopbackAddress());
        // Of what a message center is asked, only messages are answered.
        var listener = (ServerMessageReceiverListener) Proxy.newProxyInstance(Smsc.class.getClassLoader(),
                new Class<?>[] {ServerMessageReceiverListener.class}, (proxy, method, values) -> {
                    if (method.getName().equals("onAcceptSubmitSm")) {
                        return submit((SubmitSm) values[0], (SMPPServerSession) values[1]);
                    }
                    return null;
                });
        while (true) {
            var connection = new ServerSocketConnection(socket).accept();
            Executors.newSingleThreadExecutor().execute(() -> {
                try {
                    var session = new SMPPServerSession(connection, null, listener, null, 100, 3);
                    session.waitForBind(5000).accept("smsc");
                } catch (Exception e) {
                    e.printStackTrace();
                }
            });
        }
    }

    static SubmitSmResult submit(SubmitSm m, SMPPServerSession session) throws Exception {
        var number = m.getDestAddress();
        var bytes = HexFormat.of().formatHex(m.getShortMessage());
        int times = asked.merge(number + bytes, 1, Integer::sum);
        int refused = switch (number.charAt(number.length() - 1)) {
            case '3' -> INVALID_NUMBER;
            case '4' -> times < 3 ? THROTTLED : 0;
            case '5' -> times < 2 ? QUEUE_FULL : 0;
            default -> 0;
        };
        file.printf("%s %d %b %d %s%n", number, refused, m.isUdhi(), m.getDataCoding(), bytes);
        if (refused != 0) {
            throw new ProcessRequestException("refused", refused);
        }
        var id = String.valueOf(ids.incrementAndGet());
        if (m.getRegisteredDelivery() != 0) {
            var state = number.endsWith("2") ? DeliveryReceiptState.UNDELIV : DeliveryReceiptState.DELIVRD;
            later.schedule(() -> tell(m, session, id, state), 100, TimeUnit.MILLISECONDS);
        }
        return new SubmitSmResult(new MessageId(id), new OptionalParameter[0]);
    }

    static void tell(SubmitSm m, SMPPServerSession session, String id, DeliveryReceiptState state) {
        int delivered = state == DeliveryReceiptState.DELIVRD ? 1 : 0;
        var receipt = new DeliveryReceipt(id, 1, delivered, new Date(), new Date(), state, delivered == 1 ? "000" : "001", "");
        try {
            session.deliverShortMessage("", TypeOfNumber.valueOf(m.getDestAddrTon()), NumberingPlanIndicator.valueOf(m.getDestAddrNpi()),
                    m.getDestAddress(), TypeOfNumber.valueOf(m.getSourceAddrTon()), NumberingPlanIndicator.valueOf(m.getSourceAddrNpi()),
                    m.getSourceAddr(), new ESMClass(MessageMode.DEFAULT, MessageType.SMSC_DEL_RECEIPT, GSMSpecificFeature.DEFAULT),
                    (byte) 0, (byte) 0, new RegisteredDelivery(0), new GeneralDataCoding(Alphabet.ALPHA_DEFAULT),
                    receipt.toString().getBytes());
        } catch (Exception e) {
            e.printStackTrace();
        }
    }
}
